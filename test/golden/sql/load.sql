-- load.sql - the tiny models of this folder, and pg_temp.failure(), which says how a statement fails.
\set tagger :tree '/test/golden/sql/tagger.safetensors'
\set genre :tree '/test/golden/sql/genre.safetensors'
\set rating :tree '/test/golden/sql/rating.safetensors'
\set plain :tree '/test/golden/sql/plain.safetensors'
-- The model that ships goes, so that what the tests say does not depend on it.
DO $$ BEGIN PERFORM bert_drop_model(name) FROM bert_model WHERE name IN ('tagger', 'genre', 'rating', 'plain') OR shipped > 0; END $$;
SELECT count(bert_load_model(name, path)) AS models
  FROM (VALUES ('tagger', :'tagger'), ('genre', :'genre'), ('rating', :'rating'), ('plain', :'plain')) AS m (name, path);

CREATE OR REPLACE FUNCTION pg_temp.failure(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state   text;
    message text;
    detail  text;
    hint    text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', state || ' ' || message, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;

-- The bits of a vector, so that equal means equal.
CREATE OR REPLACE FUNCTION pg_temp.bits(vector real[]) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg(encode(float4send(x), 'hex'), '' ORDER BY i) FROM unnest(vector) WITH ORDINALITY AS u (x, i) $$;
