#include "stream/topic.h"

bool
topic_is_prefix(struct text pattern, struct text *prefix)
{
    if (pattern.n == 0 || pattern.p[pattern.n - 1] != '*')
        return false;
    *prefix = (struct text){pattern.p, pattern.n - 1};
    return true;
}

bool
topic_matches(struct text pattern, struct text topic)
{
    struct text prefix;

    return topic_is_prefix(pattern, &prefix) ? text_starts(topic, prefix)
                                             : text_equal(pattern, topic);
}

bool
topic_covers(struct text wide, struct text narrow)
{
    struct text wide_prefix, narrow_prefix;

    if (!topic_is_prefix(wide, &wide_prefix))
        return text_equal(wide, narrow);
    return text_starts(topic_is_prefix(narrow, &narrow_prefix) ? narrow_prefix : narrow,
                       wide_prefix);
}
