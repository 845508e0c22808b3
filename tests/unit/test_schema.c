/* The rules of the schema, as a stranger meets them who has nothing but SQLite. */
#include "tests/unit/store_world.h"

#include <stdio.h>

#include "base/clock.h"

static void
an_event_is_never_changed(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', 'x')");
    REFUSES(w, "UPDATE events SET data = 'y'", "an event is never changed");
    REFUSES(w, "UPDATE events SET id = 9", "an event is never changed");
    REFUSES(w,
            "INSERT INTO events(id, topic, data) VALUES (1, 'a', 'y')"
            " ON CONFLICT (id) DO UPDATE SET data = 'y'",
            "id must be above");
    assert_int_equal(number(w, "SELECT count(*) FROM events WHERE id = 1 AND data = 'x'"), 1);
}

static void
ids_only_grow(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2')");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (2, 'a', 'x')", "id must be above");
    REFUSES(w, "INSERT OR IGNORE INTO events(id, topic, data) VALUES (1, 'a', 'x')",
            "id must be above");
    REFUSES(w, "REPLACE INTO events(id, topic, data) VALUES (2, 'a', 'x')", "id must be above");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (-1, 'a', 'x')", "id must be from 1");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (0, 'a', 'x')", "id must be from 1");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (9007199254740992, 'a', 'x')",
            "id must be from 1");
    /* Inside one statement too: 5 comes after 10. */
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (10, 'a', 'x'), (5, 'a', 'y')",
            "id must be above");
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (NULL, 'a', 'x'), (3, 'a', 'y')",
            "id must be above");
    assert_int_equal(marks(w).newest, 2);
    ALLOWS(w, "INSERT INTO events(id, topic, data) VALUES (10, 'a', 'x'), (11, 'a', 'y')");
    ALLOWS(w, "INSERT INTO events(id, topic, data) VALUES (NULL, 'a', 'z')");
    assert_int_equal(marks(w).newest, 12);
}

static void
an_id_is_not_given_again_after_all_rows_were_deleted(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1'), ('a', '2'), ('a', '3')");
    ALLOWS(w, "DELETE FROM events");
    assert_int_equal(marks(w).oldest, 4);
    assert_int_equal(marks(w).newest, 3);
    assert_int_equal(marks(w).pruned_through, 3);
    REFUSES(w, "INSERT INTO events(id, topic, data) VALUES (3, 'a', 'x')", "id must be above");
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '4')");
    assert_int_equal(marks(w).newest, 4);
}

static void
topics_and_types_are_bounded_and_printable(void **state)
{
    struct world *w = *state;

    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('', 'x')", "topic must have 1 to 255");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES (NULL, 'x')", "events.topic");
    ALLOWS(w, "INSERT INTO events(topic, data) VALUES (printf('%.255c', 'x'), 'x')");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES (printf('%.256c', 'x'), 'x')",
            "topic must have 1 to 255 bytes");
    /* 128 characters of two bytes. */
    REFUSES(w,
            "INSERT INTO events(topic, data) VALUES (replace(hex(zeroblob(64)), '0',"
            " char(233)), 'x')",
            "topic must have 1 to 255 bytes");
    for (int c = 0; c <= 0x7f; c++) {
        char sql[160];

        for (int member = 0; member < 2; member++) {
            snprintf(
                sql, sizeof sql,
                "INSERT INTO events(topic, type, data) VALUES (%s 'a' || char(%d) || 'b', %s 'x')",
                member ? "'t'," : "", c, member ? "" : "NULL,");
            if (c < 0x20 || c == 0x7f)
                REFUSES(w, sql, "must have no control characters");
            else
                ALLOWS(w, sql);
        }
    }
    ALLOWS(w,
           "INSERT INTO events(topic, type, data) VALUES ('caf\xc3\xa9/[*]', 'na\xc3\xafve', '')");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', '', 'x')", "type must have 1");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', printf('%.256c', 'x'), 'x')",
            "type must have 1 to 255 bytes");
    REFUSES(w, "INSERT INTO events(topic, type, data) VALUES ('a', 'freshet:live', 'x')",
            "type must not begin with freshet:");
    ALLOWS(w, "INSERT INTO events(topic, type, data) VALUES ('a', 'freshet', 'x')");
}

static void
data_and_keys_are_texts_without_nul(void **state)
{
    struct world *w = *state;

    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', 'x' || char(0) || 'y')",
            "data must have no NUL");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', NULL)", "events.data");
    REFUSES(w, "INSERT INTO events(topic, data) VALUES ('a', x'61')", "BLOB");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', '')", "key must have 1");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', printf('%.256c', 'k'))",
            "key must have 1 to 255 bytes");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k' || char(0))",
            "key must have no NUL");
    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', '', 'k')");
}

static void
a_key_stays_with_its_first_event(void **state)
{
    struct world *w = *state;

    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'first', 'k')");
    REFUSES(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "UNIQUE constraint failed: events.key");
    REFUSES(w, "INSERT OR REPLACE INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "an event is never replaced");
    REFUSES(w, "REPLACE INTO events(topic, data, key) VALUES ('a', 'x', 'n'), ('a', 'y', 'n')",
            "an event is never replaced");
    REFUSES(w,
            "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k')"
            " ON CONFLICT (key) WHERE key IS NOT NULL DO UPDATE SET data = 'x'",
            "an event is never changed");
    ALLOWS(w, "INSERT OR IGNORE INTO events(topic, data, key) VALUES ('a', 'x', 'k')");
    ALLOWS(w, "INSERT INTO events(topic, data, key) VALUES ('a', 'x', 'k') ON CONFLICT DO NOTHING");
    REFUSES(w, "INSERT OR ABORT INTO events(topic, data, key) VALUES ('a', 'x', 'k')",
            "exists_already");
    assert_int_equal(number(w, "SELECT count(*) FROM events"), 1);
    assert_int_equal(number(w, "SELECT count(*) FROM events WHERE data = 'first'"), 1);
    /* The key is free again once its event is gone. */
    ALLOWS(w, "DELETE FROM events");
    ALLOWS(w, "REPLACE INTO events(topic, data, key) VALUES ('a', 'again', 'k')");
}

static void
what_is_deleted_by_hand_is_noticed(void **state)
{
    struct world *w = *state;

    ALLOWS(w,
           "INSERT INTO events(topic, data) VALUES ('a', '1'), ('b', '2'), ('a', '3'), ('a', '4')");
    ALLOWS(w, "DELETE FROM events WHERE topic = 'b'");
    assert_int_equal(marks(w).pruned_through, 2);
    assert_int_equal(marks(w).oldest, 1);
    ALLOWS(w, "DELETE FROM events WHERE id = 1");
    assert_int_equal(marks(w).pruned_through, 2);
    ALLOWS(w, "BEGIN; DELETE FROM events; ROLLBACK");
    assert_int_equal(marks(w).pruned_through, 2);
}

static void
created_is_the_wall_clock_unless_given(void **state)
{
    struct world *w = *state;
    int64_t before = clock_wall_ms(), created;

    ALLOWS(w, "INSERT INTO events(topic, data) VALUES ('a', '1')");
    created = number(w, "SELECT created FROM events");
    assert_in_range(created, before - 1, clock_wall_ms() + 1);
}

static void
an_epoch_is_made_for_each_database(void **state)
{
    struct world *w = *state;
    char path[256], first[STORE_EPOCH_LENGTH + 1];
    bool existed, differs = false;

    strcpy(first, store_epoch(w->store));
    assert_int_equal(strspn(first, "0123456789abcdefghijklmnopqrstuvwxyz"), STORE_EPOCH_LENGTH);
    /* Three more that are all the same would be one in 36^12. */
    for (int i = 0; i < 3; i++) {
        struct store *s;

        snprintf(path, sizeof path, "%s/%d.db", w->at.dir, i);
        assert_int_equal(store_create(path, &existed, &w->eb), ERR_OK);
        assert_int_equal(store_open(&s, path, STORE_READ, STORE_SYNC_FULL, &w->eb), ERR_OK);
        differs |= strcmp(store_epoch(s), first) != 0;
        store_close(s);
    }
    assert_true(differs);
    assert_int_equal(store_create(w->at.path, &existed, &w->eb), ERR_OK);
    assert_true(existed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(an_event_is_never_changed),
        WORLD_TEST(ids_only_grow),
        WORLD_TEST(an_id_is_not_given_again_after_all_rows_were_deleted),
        WORLD_TEST(topics_and_types_are_bounded_and_printable),
        WORLD_TEST(data_and_keys_are_texts_without_nul),
        WORLD_TEST(a_key_stays_with_its_first_event),
        WORLD_TEST(what_is_deleted_by_hand_is_noticed),
        WORLD_TEST(created_is_the_wall_clock_unless_given),
        WORLD_TEST(an_epoch_is_made_for_each_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
