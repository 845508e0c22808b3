-- The schema of format 1, as freshet 0.1 made it; the current one is schema.sql. It is never changed:
-- freshet check compares files of format 1 with it, and tests make them with it.
--
-- The database of freshet. Make one with `freshet init --db FILE`, or without freshet:
--
--     sqlite3 events.db < sql/schema.sql
--
-- and publish from any language, inside your own transactions:
--
--     INSERT INTO events(topic, data) VALUES ('news/sport', '{"title": "…"}');
--
-- All rules stand here and not in a program, so they hold for every writer. An event exists once its
-- transaction has been committed, gets an id above all that were ever given, and is never changed;
-- old ones may be deleted, and feed.pruned_through then tells how far.

-- A file that holds anything already must stay as it is, also when the client goes on after an
-- error, as the sqlite3 shell does: then the deferred foreign key makes COMMIT fail too, and what was
-- done is rolled back when the connection is closed.
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
CREATE TEMP TABLE is_new (
    tables INTEGER
        CONSTRAINT "this file is in use already, it was left as it is; name a new one"
        CHECK (tables = 0)
);
CREATE TEMP TABLE may_commit (
    id INTEGER PRIMARY KEY,
    proof INTEGER REFERENCES may_commit(id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO may_commit SELECT 1, 2 WHERE EXISTS (SELECT 1 FROM main.sqlite_schema);
INSERT INTO is_new SELECT count(*) FROM main.sqlite_schema;

PRAGMA application_id = 0x66727368; -- "frsh"
PRAGMA user_version = 1;

-- data is the last column so that reading the others of a large event does not touch its overflow
-- pages. AUTOINCREMENT: an id is never given again, not even when the newest rows were deleted.
-- The greatest id is the greatest integer that JavaScript, where ids arrive, holds exactly.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT
        CONSTRAINT "id must be from 1 to 9007199254740991"
        CHECK (id BETWEEN 1 AND 9007199254740991),
    topic TEXT NOT NULL
        CONSTRAINT "topic must have 1 to 255 bytes"
        CHECK (length(CAST(topic AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "topic must have no control characters"
        CHECK (instr(topic, char(0)) = 0
               AND topic NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*'),
    type TEXT -- NULL stands for "message"
        CONSTRAINT "type must have 1 to 255 bytes"
        CHECK (length(CAST(type AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "type must have no control characters"
        CHECK (instr(type, char(0)) = 0
               AND type NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || ']*')
        CONSTRAINT "type must not begin with freshet:, which is kept for signals"
        CHECK (type NOT GLOB 'freshet:*'),
    key TEXT -- idempotency: there is one event with this key, see events_key
        CONSTRAINT "key must have 1 to 255 bytes"
        CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "key must have no NUL"
        CHECK (instr(key, char(0)) = 0),
    created INTEGER NOT NULL -- milliseconds since 1970-01-01T00:00:00Z
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    data TEXT NOT NULL
        CONSTRAINT "data must have no NUL"
        CHECK (instr(data, char(0)) = 0)
) STRICT;

-- Every index entry ends with the row's id, so this one is (topic, id).
CREATE INDEX events_topic ON events(topic);
CREATE UNIQUE INDEX events_key ON events(key) WHERE key IS NOT NULL;

-- What is known about the log as a whole: one row.
CREATE TABLE feed (
    one INTEGER PRIMARY KEY DEFAULT 1
        CONSTRAINT "feed has one row" CHECK (one = 1),
    epoch TEXT NOT NULL -- tells this log from another one made later under the same name
        CONSTRAINT "epoch must be four of 0-9a-z"
        CHECK (length(epoch) = 4 AND epoch NOT GLOB '*[^0-9a-z]*'),
    pruned_through INTEGER NOT NULL DEFAULT 0, -- the highest id that was ever deleted
    created INTEGER NOT NULL
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) STRICT;

-- random() % 36 is from -35 to 35, and its absolute value is even over 0 to 35.
INSERT INTO feed(epoch) VALUES (
    substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1));

-- Where each source of freshet-ingest stands; written in the transaction that adds its events.
CREATE TABLE ingest_cursor (
    source TEXT PRIMARY KEY NOT NULL,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Without an explicit id NEW.id is -1 here, and an explicit one below 1 is the CHECK's business.
-- sqlite_sequence is written when a statement ends, so the rows that this very statement has
-- inserted before are looked at too.
CREATE TRIGGER events_only_grow BEFORE INSERT ON events
WHEN NEW.id > 0
     AND NEW.id <= max(coalesce((SELECT max(id) FROM events), 0),
                       coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0))
BEGIN
    SELECT RAISE(ABORT, 'id must be above every id ever given; leave it out to get the next one');
END;

CREATE TRIGGER events_stay_as_they_are BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'an event is never changed; insert a new one');
END;

CREATE TRIGGER events_deleted AFTER DELETE ON events
BEGIN
    UPDATE feed SET pruned_through = OLD.id WHERE pruned_through < OLD.id;
END;

-- INSERT OR REPLACE with a key that exists would delete the first event behind the back of the
-- trigger above. A statement inside a trigger inherits the OR clause of the statement outside: only
-- under OR REPLACE does a second row 1 get into key_guard, and that is refused. A plain INSERT
-- then fails at the unique index, and OR IGNORE and ON CONFLICT DO NOTHING go their way.
CREATE TABLE key_guard (exists_already INTEGER PRIMARY KEY) STRICT;
INSERT INTO key_guard VALUES (1);

CREATE TRIGGER events_key_exists BEFORE INSERT ON events
WHEN NEW.key IS NOT NULL AND EXISTS (SELECT 1 FROM events WHERE key = NEW.key)
BEGIN
    INSERT OR IGNORE INTO key_guard VALUES (1);
END;

CREATE TRIGGER events_are_not_replaced AFTER INSERT ON key_guard
BEGIN
    SELECT RAISE(ABORT, 'an event is never replaced; use INSERT OR IGNORE to repeat a key');
END;

COMMIT;
DROP TABLE temp.is_new;
DROP TABLE temp.may_commit;
PRAGMA journal_mode = WAL;
