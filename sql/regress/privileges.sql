-- Who may use models, and who may change them.
\set ECHO none
\getenv tree MOVIEBERT_TREE
\set tagger :tree '/test/golden/sql/tagger.safetensors'
\set load :tree '/test/golden/sql/load.sql'
\set unload :tree '/test/golden/sql/unload.sql'
\i :load
\set ECHO all
CREATE ROLE regress_bert_user;
CREATE ROLE regress_bert_manager;
GRANT INSERT, UPDATE, DELETE ON bert_model, bert_model_chunk, bert_default TO regress_bert_manager;
SELECT pg_read_binary_file(:'tagger') AS bytes \gset
SELECT sha256 FROM bert_models WHERE name = 'tagger' \gset
GRANT EXECUTE ON FUNCTION pg_temp.failure(text) TO PUBLIC;

-- Anybody may look and use.
SET ROLE regress_bert_user;
SELECT name, kind FROM bert_models ORDER BY name;
SELECT cardinality(bert_embed('ghost', 'tagger')), bert_default_model(), bert_version() IS NOT NULL;
SELECT count(*) > 0 FROM bert_model_chunk;
SET moviebert.model = 'plain';
SELECT cardinality(bert_embed('ghost'));
RESET moviebert.model;

-- Nobody may change anything without being told so.
SELECT pg_temp.failure(format('SELECT bert_load_model(%L, %L::bytea)', 'mine', :'bytes'));
SELECT pg_temp.failure(format('SELECT bert_load_model(%L, %L)', 'mine', :'tagger'));
SELECT pg_temp.failure(format('SELECT bert_register_model(%L, %L)', 'mine', :'sha256'));
SELECT pg_temp.failure($$ SELECT bert_drop_model('plain') $$);
SELECT pg_temp.failure($$ SELECT bert_drop_model('nothing') $$);
SELECT pg_temp.failure($$ SELECT bert_default_model('plain') $$);
SELECT pg_temp.failure($$ SELECT bert_default_model(NULL) $$);
SELECT pg_temp.failure($$ DELETE FROM bert_model $$);
SELECT pg_temp.failure($$ INSERT INTO bert_model_chunk VALUES (repeat('ab', 32), 0, '') $$);
SELECT pg_temp.failure($$ TRUNCATE bert_model_chunk $$);
RESET ROLE;

-- Who may change the tables manages models, but reads no file of the server.
SET ROLE regress_bert_manager;
SELECT bert_load_model('mine', :'bytes'::bytea) = :'sha256';
SELECT bert_register_model('mine too', :'sha256') = :'sha256';
SELECT bert_default_model('mine');
SELECT bert_default_model(), cardinality(bert_embed('ghost'));
SELECT bert_drop_model('mine');
SELECT pg_temp.failure(format('SELECT bert_load_model(%L, %L)', 'mine', :'tagger'));
SELECT pg_temp.failure($$ SELECT bert_load_model('mine', '/nowhere') $$);
RESET ROLE;
GRANT pg_read_server_files TO regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT bert_load_model('mine', :'tagger') = :'sha256';
SELECT bert_drop_model('mine'), bert_drop_model('mine too');
RESET ROLE;

-- INSERT on both tables installs, DELETE on both drops, INSERT and UPDATE on bert_default choose.
REVOKE UPDATE ON bert_model_chunk FROM regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT bert_default_model('tagger');
SELECT pg_temp.failure($$ UPDATE bert_model SET sha256 = repeat('ab', 32) WHERE name = 'tagger' $$);
RESET ROLE;
REVOKE UPDATE, DELETE ON bert_model, bert_model_chunk, bert_default FROM regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT bert_load_model('mine', :'bytes'::bytea) = :'sha256';
SELECT pg_temp.failure($$ SELECT bert_drop_model('mine') $$);
SELECT pg_temp.failure($$ SELECT bert_default_model('mine') $$);
-- A model that is marked as shipped would be the default.
SELECT pg_temp.failure($$ INSERT INTO bert_model SELECT (jsonb_populate_record(m, '{"name": "moviebert-9", "shipped": 9}')).* FROM bert_model m WHERE name = 'mine' $$);
RESET ROLE;
GRANT UPDATE ON bert_default TO regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT bert_default_model('mine');
SELECT bert_default_model();
SELECT pg_temp.failure($$ UPDATE bert_model SET sha256 = repeat('ab', 32) WHERE name = 'tagger' $$);
RESET ROLE;
REVOKE INSERT, UPDATE ON bert_default FROM regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT pg_temp.failure($$ SELECT bert_default_model('mine') $$);
RESET ROLE;
REVOKE INSERT ON bert_model_chunk FROM regress_bert_manager;
SET ROLE regress_bert_manager;
SELECT pg_temp.failure(format('SELECT bert_load_model(%L, %L::bytea)', 'other', :'bytes'));
RESET ROLE;

-- Without SELECT on the tables: using a model asks for no privilege on them.
REVOKE SELECT ON bert_model, bert_model_chunk FROM PUBLIC;
SET ROLE regress_bert_user;
SELECT cardinality(bert_embed('ghost', 'mine')), (SELECT count(*) > 0 FROM bert_models);
SELECT pg_temp.failure($$ SELECT * FROM bert_model $$);
RESET ROLE;
GRANT SELECT ON bert_model, bert_model_chunk TO PUBLIC;

SELECT bert_drop_model('mine');
REVOKE ALL ON bert_model, bert_model_chunk, bert_default FROM regress_bert_manager;
DROP ROLE regress_bert_user, regress_bert_manager;
\i :unload
