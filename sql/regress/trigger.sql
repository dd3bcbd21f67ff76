-- bert_tags_trigger: what it fills, when it computes, and wrong uses.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\t on
\a
\i :load
\set ECHO all
SELECT bert_default_model('tagger');

CREATE TABLE films (id int PRIMARY KEY, title text, plot text, recommended text[], embedding real[], seen int DEFAULT 0);
CREATE TRIGGER tags BEFORE INSERT OR UPDATE ON films
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('recommended', 'plot');
CREATE TRIGGER vectors BEFORE INSERT OR UPDATE ON films
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('embedding', 'title', 'plot', 'model=plain');
INSERT INTO films (id, title, plot) VALUES
    (1, 'Ship', 'The ghost ship.'), (2, 'Love', 'a robot learns to love'), (3, NULL, 'ghost'), (4, 'Only a title', NULL), (5, NULL, NULL), (6, '', '');
-- Several sources are joined by a newline; those that are null are left out; without any, null.
SELECT id, recommended = bert_tags(plot) AS tags, embedding = bert_embed(concat_ws(E'\n', title, plot), 'plain') AS vector FROM films ORDER BY id;
SELECT recommended FROM films WHERE id = 1;

-- A value given with INSERT is overwritten.
INSERT INTO films (id, plot, recommended) VALUES (7, 'ghost', '{mine}') RETURNING recommended = bert_tags(plot) AS tags;
-- UPDATE of the text.
UPDATE films SET plot = 'The ghost ship.' WHERE id = 3 RETURNING recommended = bert_tags(plot) AS tags, embedding = bert_embed(plot, 'plain') AS vector;
UPDATE films SET plot = NULL WHERE id = 3 RETURNING recommended, embedding;
UPDATE films SET plot = 'ghost' WHERE id = 3 RETURNING recommended = bert_tags(plot) AS tags, embedding = bert_embed(plot, 'plain') AS vector;
-- A value given by hand stays, until the text changes.
UPDATE films SET recommended = '{mine}' WHERE id = 1 RETURNING recommended;
UPDATE films SET seen = 1 WHERE id = 1 RETURNING recommended;
UPDATE films SET plot = plot || ' It sails.' WHERE id = 1 RETURNING recommended = bert_tags(plot) AS tags;
UPDATE films SET recommended = '{mine}', plot = 'robot' WHERE id = 1 RETURNING recommended = bert_tags(plot) AS tags;
-- Null asks for it anew.
UPDATE films SET recommended = NULL WHERE id = 1 RETURNING recommended = bert_tags(plot) AS tags;

-- What is unchanged is not computed: without the models, it could not be.
ALTER TABLE films DISABLE TRIGGER USER;
INSERT INTO films (id, title, plot) VALUES (8, 'Before the trigger', 'ghost');
ALTER TABLE films ENABLE TRIGGER USER;
-- A text that lies out of line, of random letters so that it stays long.
INSERT INTO films (id, plot) SELECT 20, string_agg(md5(i::text), ' ') FROM generate_series(1, 400) AS i;
SELECT pg_column_size(plot) > 8000 FROM films WHERE id = 20;
SELECT bert_drop_model('plain');
SELECT bert_default_model(NULL);
UPDATE films SET seen = seen + 1;
UPDATE films SET plot = plot, title = title WHERE id <= 7;
UPDATE films SET plot = 'The ' || substr(plot, 5) WHERE plot LIKE 'The %';
UPDATE films SET id = 9, recommended = '{by hand}' WHERE id = 1 RETURNING recommended;
INSERT INTO films (id) VALUES (10);
SELECT pg_temp.failure($$ UPDATE films SET plot = 'another' WHERE id = 2 $$) ~ '^42704 .*no default model';
UPDATE films SET plot = plot || '' WHERE id = 20;
SELECT pg_temp.failure($$ UPDATE films SET plot = overlay(plot PLACING 'X' FROM 9000) WHERE id = 20 $$) ~ '^42704 .*no default model';
SELECT pg_temp.failure($$ UPDATE films SET plot = plot WHERE id = 8 $$) ~ '^42704 .*no default model';
SELECT pg_temp.failure($$ UPDATE films SET recommended = NULL WHERE id = 2 $$) ~ '^42704 .*no default model';
SELECT pg_temp.failure($$ INSERT INTO films (id, plot) VALUES (11, 'ghost') $$) ~ '^42704 .*no default model';
SELECT pg_temp.failure($$ INSERT INTO films (id, plot) VALUES (11, 'ghost') $$);
SELECT bert_default_model('tagger');
SELECT pg_temp.failure($$ UPDATE films SET plot = 'another' WHERE id = 2 $$) ~ '^42704 .*plain';
DROP TRIGGER vectors ON films;
-- A row from before the trigger gets its value when it is touched where it matters.
UPDATE films SET seen = 7 WHERE id = 8 RETURNING recommended;
UPDATE films SET plot = plot WHERE id = 8 RETURNING recommended = bert_tags(plot);
DROP TABLE films;

-- Without model= the database's default computes, and no setting of whoever writes.
\set ECHO none
\i :load
\set ECHO all
SELECT bert_default_model('tagger');
CREATE TABLE shared (plot text, tags text[], vec real[]);
CREATE TRIGGER tags BEFORE INSERT OR UPDATE ON shared FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot');
CREATE TRIGGER vec BEFORE INSERT OR UPDATE ON shared FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('vec', 'plot');
CREATE ROLE regress_bert_writer;
GRANT INSERT, UPDATE, SELECT ON shared TO regress_bert_writer;
SET ROLE regress_bert_writer;
SET moviebert.model = 'plain';
SELECT bert_embed('ghost') = bert_embed('ghost', 'plain') AS the_setting_counts_here;
INSERT INTO shared VALUES ('The ghost ship.')
RETURNING tags = bert_tags(plot, 'tagger') AS tags, vec = bert_embed(plot, 'tagger') AS vec, vec <> bert_embed(plot) AS other;
SET moviebert.model = 'nobody';
UPDATE shared SET plot = 'ghost' RETURNING vec = bert_embed(plot, 'tagger') AS vec;
RESET moviebert.model;
RESET ROLE;
SELECT bert_default_model('plain');
SET moviebert.model = 'tagger';
SELECT pg_temp.failure($$ UPDATE shared SET plot = 'robot' $$);
RESET moviebert.model;
SELECT bert_default_model('tagger');
DROP TABLE shared;
DROP ROLE regress_bert_writer;

-- Options; other text types; domains; quoted names; partitions; COPY; a large text.
CREATE DOMAIN short_list AS text[] CHECK (cardinality(VALUE) <= 2);
CREATE DOMAIN words AS varchar(100);
CREATE TABLE "Mixed=Case" ("The Plot" words, c char(30), "a=b" varchar, top text[], high text[], "domain" short_list, vec real[]);
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON "Mixed=Case"
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('top', 'The Plot', 'top_k=1', 'model=tagger');
CREATE TRIGGER b BEFORE INSERT OR UPDATE ON "Mixed=Case"
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('high', 'The Plot', 'threshold=0.7', 'top_k=2');
CREATE TRIGGER c BEFORE INSERT OR UPDATE ON "Mixed=Case"
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('vec', 'c', 'a=b');
INSERT INTO "Mixed=Case" VALUES ('The ghost ship.', 'ghost', 'robot');
SELECT top, high, vec = bert_embed(E'ghost\nrobot') FROM "Mixed=Case";
CREATE TRIGGER d BEFORE INSERT OR UPDATE ON "Mixed=Case"
    FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('domain', 'The Plot');
SELECT pg_temp.failure($$ UPDATE "Mixed=Case" SET "The Plot" = 'A detective hunts a killer in the rain.' $$);
DROP TABLE "Mixed=Case";
CREATE TABLE parts (plot text, k int, tags text[]) PARTITION BY LIST (k);
CREATE TABLE part_1 (tags text[], dropped int, k int, plot text);
ALTER TABLE part_1 DROP COLUMN dropped;
ALTER TABLE parts ATTACH PARTITION part_1 FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES IN (2);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot', 'top_k=1');
COPY parts (k, plot) FROM stdin;
1	The ghost ship.
2	The ghost ship.
\.
INSERT INTO parts (k, plot) SELECT 2, repeat('ghost ', 100000);
UPDATE parts SET k = 1 WHERE length(plot) > 100;
SELECT k, tags, length(plot) FROM parts ORDER BY length(plot), k;
DROP TABLE parts;

-- Wrong uses.
\set ECHO none
\i :load
\set ECHO all
SELECT bert_default_model('tagger');
CREATE TABLE wrong (id int, plot text, tags text[], vec real[], doubles float8[], label text,
                    made text[] GENERATED ALWAYS AS (ARRAY[plot]) STORED, upper_plot text GENERATED ALWAYS AS (upper(plot)) STORED);
CREATE PROCEDURE pg_temp.try(timing text, arguments text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER t %s EXECUTE FUNCTION bert_tags_trigger(%s)', timing, arguments);
    RAISE NOTICE E'%: %', arguments, (SELECT pg_temp.failure('INSERT INTO wrong (id, plot) VALUES (1, ''ghost'')'));
    DROP TRIGGER t ON wrong;
END $$;
CALL pg_temp.try('AFTER INSERT ON wrong FOR EACH ROW', $$'tags', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH STATEMENT', $$'tags', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'model=tagger'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tagz', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'Plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'ctid'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'id', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'label', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'doubles', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'id'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'tags'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'made', 'plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'upper_plot'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'speed=9'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'model='$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'top_k=0'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'top_k=many'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'top_k=99999999999'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'top_k='$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'threshold=x'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'threshold=nan'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'threshold=2'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'vec', 'plot', 'top_k=2'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'model=plain'$$);
CALL pg_temp.try('BEFORE INSERT ON wrong FOR EACH ROW', $$'tags', 'plot', 'model=rating'$$);
CREATE TRIGGER t BEFORE DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot');
INSERT INTO wrong (id) VALUES (1);
SELECT pg_temp.failure($$ DELETE FROM wrong $$);
DROP TRIGGER t ON wrong;
SELECT bert_tags_trigger();
-- The trigger is named in the error's context.
CREATE TRIGGER t BEFORE INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot', 'model=plain');
INSERT INTO wrong (plot) VALUES ('ghost');
DROP TABLE wrong;
DROP DOMAIN words, short_list;
\i :unload
