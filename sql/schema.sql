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
--
-- An empty comment stands before each name that gets a prefix in an application's database, where
-- freshet is a guest. What is between the lines with brackets is for a file of its own only.

--[
-- A file that holds anything already must stay as it is, also when the client goes on after an
-- error, as the sqlite3 shell does: then the deferred foreign key makes COMMIT fail too, and what was
-- done is rolled back when the connection is closed.
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
CREATE TEMP TABLE is_new (
    tables INTEGER
        CONSTRAINT "this file is in use already, it was left as it is; name a new one"
        CHECK (tables = 0),
    encoding TEXT
        CONSTRAINT "the encoding must be UTF-8" CHECK (encoding = 'UTF-8')
);
CREATE TEMP TABLE may_commit (
    id INTEGER PRIMARY KEY,
    proof INTEGER REFERENCES may_commit(id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO may_commit SELECT 1, 2 FROM pragma_encoding
WHERE encoding <> 'UTF-8' OR EXISTS (SELECT 1 FROM main.sqlite_schema);
INSERT INTO is_new SELECT (SELECT count(*) FROM main.sqlite_schema), encoding FROM pragma_encoding;

PRAGMA application_id = 0x66727368; -- "frsh"
PRAGMA user_version = 2; -- the format; it stands in feed too
--]

-- No table is STRICT: SQLite before 3.37 could not open the file then. typeof() is asked after the
-- column has made an integer of '1', and text of 1, as everywhere in SQLite.
--
-- data is the last column so that reading the others of a large event does not touch its overflow
-- pages. AUTOINCREMENT: an id is never given again, not even when the newest rows were deleted.
-- The greatest id is the greatest integer that JavaScript, where ids arrive, holds exactly.
--
-- The pattern in hexadecimal is *[\x01-\x1f\x7f]* in UTF-8: joined from char() it would be made for
-- each row again, which is a tenth of what an INSERT costs.
CREATE TABLE /**/events (
    id INTEGER PRIMARY KEY AUTOINCREMENT
        CONSTRAINT "id must be from 1 to 9007199254740991"
        CHECK (id BETWEEN 1 AND 9007199254740991),
    topic TEXT NOT NULL
        CONSTRAINT "topic must be text" CHECK (typeof(topic) = 'text')
        CONSTRAINT "topic must have 1 to 255 bytes"
        CHECK (length(CAST(topic AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "topic must have no control characters"
        CHECK (instr(topic, char(0)) = 0 AND topic NOT GLOB CAST(x'2A5B012D1F7F5D2A' AS TEXT)),
    type TEXT -- NULL stands for "message"
        CONSTRAINT "type must be text" CHECK (type IS NULL OR typeof(type) = 'text')
        CONSTRAINT "type must have 1 to 255 bytes"
        CHECK (length(CAST(type AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "type must have no control characters"
        CHECK (instr(type, char(0)) = 0 AND type NOT GLOB CAST(x'2A5B012D1F7F5D2A' AS TEXT))
        CONSTRAINT "type must not begin with freshet:, which is kept for signals"
        CHECK (type NOT GLOB 'freshet:*'),
    key TEXT -- idempotency: there is one event with this key, see events_key
        CONSTRAINT "key must be text" CHECK (key IS NULL OR typeof(key) = 'text')
        CONSTRAINT "key must have 1 to 255 bytes"
        CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 255)
        CONSTRAINT "key must have no NUL"
        CHECK (instr(key, char(0)) = 0),
    created INTEGER NOT NULL -- milliseconds since 1970-01-01T00:00:00Z
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
        CONSTRAINT "created must be an integer above 0, the milliseconds since 1970"
        CHECK (typeof(created) = 'integer' AND created > 0),
    data TEXT NOT NULL
        CONSTRAINT "data must be text" CHECK (typeof(data) = 'text')
        CONSTRAINT "data must have no NUL"
        CHECK (instr(data, char(0)) = 0)
);

-- Every index entry ends with the row's id, so this one is (topic, id).
CREATE INDEX /**/events_topic ON /**/events(topic);
CREATE UNIQUE INDEX /**/events_key ON /**/events(key) WHERE key IS NOT NULL;

-- What is known about the log as a whole: one row.
CREATE TABLE /**/feed (
    one INTEGER PRIMARY KEY DEFAULT 1
        CONSTRAINT "feed has one row" CHECK (one = 1),
    epoch TEXT NOT NULL -- tells this log from another one made later under the same name
        CONSTRAINT "epoch must be four of 0-9a-z"
        CHECK (typeof(epoch) = 'text' AND length(epoch) = 4 AND epoch NOT GLOB '*[^0-9a-z]*'),
    pruned_through INTEGER NOT NULL DEFAULT 0 -- the highest id that was ever deleted
        CONSTRAINT "pruned_through must be an integer" CHECK (typeof(pruned_through) = 'integer'),
    created INTEGER NOT NULL
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
        CONSTRAINT "created must be an integer" CHECK (typeof(created) = 'integer'),
    format INTEGER NOT NULL DEFAULT 2 -- of all of this; it says that a guest is there
        CONSTRAINT "format must be an integer" CHECK (typeof(format) = 'integer')
);

-- random() % 36 is from -35 to 35, and its absolute value is even over 0 to 35.
INSERT INTO /**/feed(epoch) VALUES (
    substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1)
    || substr('0123456789abcdefghijklmnopqrstuvwxyz', 1 + abs(random() % 36), 1));

-- Where the log stands: what a page that was made from this database hands to EventSource as
-- last_event_id. Read it in the statement that reads the page's rows, or in the same transaction.
CREATE VIEW /**/position(id) AS
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = /**/'events'), 0) || '-' || epoch
FROM /**/feed;

-- Where each source of freshet-ingest stands; written in the transaction that adds its events.
CREATE TABLE /**/ingest_cursor (
    source TEXT PRIMARY KEY NOT NULL
        CONSTRAINT "source must be text" CHECK (typeof(source) = 'text'),
    position TEXT NOT NULL
        CONSTRAINT "position must be text" CHECK (typeof(position) = 'text')
) WITHOUT ROWID;

-- Without an explicit id NEW.id is -1 here, and an explicit one below 1 is the CHECK's business.
-- sqlite_sequence is written when a statement ends, so the rows that this very statement has
-- inserted before are looked at too.
CREATE TRIGGER /**/events_only_grow BEFORE INSERT ON /**/events
WHEN NEW.id > 0
     AND NEW.id <= max(coalesce((SELECT max(id) FROM /**/events), 0),
                       coalesce((SELECT seq FROM sqlite_sequence WHERE name = /**/'events'), 0))
BEGIN
    SELECT RAISE(ABORT, 'id must be above every id ever given; leave it out to get the next one');
END;

CREATE TRIGGER /**/events_stay_as_they_are BEFORE UPDATE ON /**/events
BEGIN
    SELECT RAISE(ABORT, 'an event is never changed; insert a new one');
END;

CREATE TRIGGER /**/events_deleted AFTER DELETE ON /**/events
BEGIN
    UPDATE /**/feed SET pruned_through = OLD.id WHERE pruned_through < OLD.id;
END;

-- INSERT OR REPLACE with a key that exists would delete the first event behind the back of the
-- trigger above. A statement inside a trigger inherits the OR clause of the statement outside: only
-- under OR REPLACE does a second row 1 get into key_guard, and that is refused. A plain INSERT
-- then fails at the unique index, and OR IGNORE and ON CONFLICT DO NOTHING go their way.
CREATE TABLE /**/key_guard (exists_already INTEGER PRIMARY KEY);
INSERT INTO /**/key_guard VALUES (1);

CREATE TRIGGER /**/events_key_exists BEFORE INSERT ON /**/events
WHEN NEW.key IS NOT NULL AND EXISTS (SELECT 1 FROM /**/events WHERE key = NEW.key)
BEGIN
    INSERT OR IGNORE INTO /**/key_guard VALUES (1);
END;

CREATE TRIGGER /**/events_are_not_replaced AFTER INSERT ON /**/key_guard
BEGIN
    SELECT RAISE(ABORT, 'an event is never replaced; add ON CONFLICT DO NOTHING to repeat a key');
END;

--[
COMMIT;
DROP TABLE temp.is_new;
DROP TABLE temp.may_commit;
PRAGMA journal_mode = WAL;
--]
