-- moviebert.sql - the extension's objects.  make copies it to moviebert--VERSION.sql.

\echo Use "CREATE EXTENSION moviebert" to load this file. \quit

-- ---- Models as rows -------------------------------------------------------------------------------------------------
--
-- A row of bert_model says what a name stands for; the model file itself lies in bert_model_chunk under its SHA-256, so
-- that several names can share it.  There is no foreign key between the two: rows may come in any order, by COPY from a
-- dump or by logical replication, and the hash is checked when the model is first used.  Text is in collation "C"
-- because the C code compares bytes.  Columns keep their places: the C code knows them by number.
--
-- The model that moviebert ships is rows as any other, marked: which of its versions it is, and 0 for all models else.
-- CREATE EXTENSION brings it, so pg_dump leaves its rows out; a chunk is shipped as long as only such names need it.

CREATE TABLE bert_model (
    name          text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 255),
    sha256        text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size          bigint NOT NULL CHECK (size > 0),
    created       timestamptz NOT NULL DEFAULT now(),
    shipped       integer NOT NULL DEFAULT 0 CHECK (shipped >= 0),
    -- What the model file says of itself, kept here so that nobody has to read it to know.
    kind          text NOT NULL,
    architecture  text NOT NULL,
    parameters    bigint NOT NULL,
    dimensions    integer NOT NULL,
    max_length    integer NOT NULL,
    pooling       text NOT NULL,
    normalize     boolean NOT NULL,
    long_text     text NOT NULL,
    window_stride integer NOT NULL,
    problem       text,
    tags          text[],
    thresholds    real[],
    card          jsonb
);

CREATE TABLE bert_model_chunk (
    sha256  text COLLATE "C" NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    seq     integer NOT NULL CHECK (seq >= 0),
    data    bytea NOT NULL,
    shipped boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sha256, seq)
);
-- Weights do not compress.
ALTER TABLE bert_model_chunk ALTER COLUMN data SET STORAGE EXTERNAL;

-- The choice of a default, as long as somebody has made one: without a row it is the latest model that moviebert shipped.
-- A table of its own, so that a dump has the choice, also that of none, and nothing in the new database stands against it.
CREATE TABLE bert_default (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    model text COLLATE "C" NOT NULL CHECK (octet_length(model) <= 255) -- empty for none
);

SELECT pg_catalog.pg_extension_config_dump('bert_model', 'WHERE shipped OPERATOR(pg_catalog.=) 0');
SELECT pg_catalog.pg_extension_config_dump('bert_model_chunk', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('bert_default', '');

COMMENT ON TABLE bert_model IS 'models of moviebert, one row for each name';
COMMENT ON TABLE bert_model_chunk IS 'model files of moviebert, in pieces of 1 MiB';
COMMENT ON TABLE bert_default IS 'name of the default model, if one was chosen';

-- Using and looking at models needs no privilege; changing them needs that of changing the tables.
GRANT SELECT ON bert_model, bert_model_chunk, bert_default TO PUBLIC;

-- Every backend remembers what names stand for.  These triggers tell them when that may have changed, however the
-- change came: by our functions, by hand, by COPY, or by logical replication.
CREATE FUNCTION bert_model_changed() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION bert_model_changed() IS 'tells all sessions that models have changed';

CREATE TRIGGER bert_model_changed AFTER INSERT OR UPDATE OR DELETE ON bert_model
    FOR EACH ROW EXECUTE FUNCTION bert_model_changed();
CREATE TRIGGER bert_model_truncated AFTER TRUNCATE ON bert_model
    FOR EACH STATEMENT EXECUTE FUNCTION bert_model_changed();
ALTER TABLE bert_model ENABLE ALWAYS TRIGGER bert_model_changed;
ALTER TABLE bert_model ENABLE ALWAYS TRIGGER bert_model_truncated;

CREATE TRIGGER bert_default_changed AFTER INSERT OR UPDATE OR DELETE ON bert_default
    FOR EACH ROW EXECUTE FUNCTION bert_model_changed();
CREATE TRIGGER bert_default_truncated AFTER TRUNCATE ON bert_default
    FOR EACH STATEMENT EXECUTE FUNCTION bert_model_changed();
ALTER TABLE bert_default ENABLE ALWAYS TRIGGER bert_default_changed;
ALTER TABLE bert_default ENABLE ALWAYS TRIGGER bert_default_truncated;

-- What comes from a dump or from a publisher meets what CREATE EXTENSION has brought here.  A model that moviebert shipped
-- gives way to one of its name, and a chunk that is there already is not put there again.
CREATE FUNCTION bert_model_arrives() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION bert_model_arrives() IS 'lets a model that moviebert ships give way to another of its name';

CREATE TRIGGER bert_model_arrives BEFORE INSERT ON bert_model
    FOR EACH ROW EXECUTE FUNCTION bert_model_arrives();
ALTER TABLE bert_model ENABLE ALWAYS TRIGGER bert_model_arrives;

CREATE FUNCTION bert_chunk_arrives() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION bert_chunk_arrives() IS 'takes a chunk of the model that moviebert ships for the same one from elsewhere';

CREATE TRIGGER bert_chunk_arrives BEFORE INSERT ON bert_model_chunk
    FOR EACH ROW EXECUTE FUNCTION bert_chunk_arrives();
ALTER TABLE bert_model_chunk ENABLE ALWAYS TRIGGER bert_chunk_arrives;

-- A name never changes its weights, whoever may UPDATE the table.
-- Not for logical replication: the server that it comes from has decided.
CREATE FUNCTION bert_model_fixed() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION bert_model_fixed() IS 'refuses to change what a name stands for';

CREATE TRIGGER bert_model_fixed BEFORE UPDATE ON bert_model
    FOR EACH ROW WHEN (old.name IS DISTINCT FROM new.name OR old.sha256 IS DISTINCT FROM new.sha256 OR old.size IS DISTINCT FROM new.size)
    EXECUTE FUNCTION bert_model_fixed();

-- ---- Managing models ------------------------------------------------------------------------------------------------

CREATE FUNCTION bert_version() RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION bert_version() IS 'version of moviebert''s library';

CREATE FUNCTION bert_load_model(name text, contents bytea) RETURNS text
    AS 'MODULE_PATHNAME', 'bert_load_model_contents' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_load_model(text, bytea) IS 'install a model from the bytes of a model file; returns its SHA-256';

CREATE FUNCTION bert_load_model(name text, path text) RETURNS text
    AS 'MODULE_PATHNAME', 'bert_load_model_path' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_load_model(text, text) IS 'install a model from a model file on the server; returns its SHA-256';

CREATE FUNCTION bert_register_model(name text, sha256 text) RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_register_model(text, text) IS 'give a name to the model file whose pieces are in bert_model_chunk';

CREATE FUNCTION bert_load_shipped_model() RETURNS text
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_load_shipped_model() IS 'install the model that moviebert ships; returns its name, or null if there is no such file';

CREATE FUNCTION bert_drop_model(name text) RETURNS void
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_drop_model(text) IS 'remove a model, and its file if no other name uses it';

CREATE FUNCTION bert_default_model() RETURNS text
    AS 'MODULE_PATHNAME', 'bert_get_default_model' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION bert_default_model() IS 'name of the database''s default model, or null';

CREATE FUNCTION bert_default_model(name text) RETURNS void
    AS 'MODULE_PATHNAME', 'bert_set_default_model' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION bert_default_model(text) IS 'make a model the database''s default; null for none';

CREATE VIEW bert_models AS
    SELECT name, kind, architecture, parameters, dimensions, max_length, pooling, normalize, long_text, window_stride,
           problem, tags, thresholds, sha256, size, created, coalesce(name = bert_default_model(), false) AS is_default, card
      FROM bert_model;
COMMENT ON VIEW bert_models IS 'models that moviebert can use in this database';
GRANT SELECT ON bert_models TO PUBLIC;

-- ---- Texts ----------------------------------------------------------------------------------------------------------
--
-- Where the model is an argument, the answer depends on the arguments alone, because a name never changes its weights:
-- IMMUTABLE.  Without it the setting moviebert.model and the database's default decide: STABLE, as to_tsvector(text) is.
--
-- COST counts in cpu_operator_cost, the planner's unit for adding two integers: about 5 ns.  A plot of 95 tokens takes about
-- 2 ms in the model that ships, which is what is declared, and about 28 ms in one of six layers of 384.  It makes the
-- planner evaluate cheap conditions first and use parallel workers for a table of some thousand rows; more would only make
-- it compile queries of few rows with LLVM, for a quarter of a second and no gain.  Of an array, ten texts are assumed.  Tokenizing a plot takes some 25 microseconds, the cosine of two vectors of
-- 384 one.

CREATE FUNCTION bert_constant_support(internal) RETURNS internal
    AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION bert_constant_support(internal) IS 'tells the planner that constants are computed once';

CREATE FUNCTION bert_embed(text text) RETURNS real[]
    AS 'MODULE_PATHNAME', 'bert_embed' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 400000
    SUPPORT bert_constant_support;
COMMENT ON FUNCTION bert_embed(text) IS 'embedding of a text by the default model';

CREATE FUNCTION bert_embed(text text, model text) RETURNS real[]
    AS 'MODULE_PATHNAME', 'bert_embed' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 400000
    SUPPORT bert_constant_support;
COMMENT ON FUNCTION bert_embed(text, text) IS 'embedding of a text';

CREATE FUNCTION bert_embed(texts text[]) RETURNS real[]
    AS 'MODULE_PATHNAME', 'bert_embed_array' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 4000000;
COMMENT ON FUNCTION bert_embed(text[]) IS 'embeddings of texts by the default model, one row each';

CREATE FUNCTION bert_embed(texts text[], model text) RETURNS real[]
    AS 'MODULE_PATHNAME', 'bert_embed_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 4000000;
COMMENT ON FUNCTION bert_embed(text[], text) IS 'embeddings of texts, one row each';

-- Not STRICT: top_k and threshold that are null are not given.
CREATE FUNCTION bert_tags(text text, top_k integer DEFAULT NULL, threshold double precision DEFAULT NULL) RETURNS text[]
    AS 'MODULE_PATHNAME', 'bert_tags' LANGUAGE C STABLE PARALLEL SAFE COST 400000
    SUPPORT bert_constant_support;
COMMENT ON FUNCTION bert_tags(text, integer, double precision) IS 'tags of a text by the default model, best first';

CREATE FUNCTION bert_tags(text text, model text, top_k integer DEFAULT NULL, threshold double precision DEFAULT NULL)
    RETURNS text[]
    AS 'MODULE_PATHNAME', 'bert_tags' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 400000
    SUPPORT bert_constant_support;
COMMENT ON FUNCTION bert_tags(text, text, integer, double precision) IS 'tags of a text, best first';

CREATE FUNCTION bert_tag_scores(text text, top_k integer DEFAULT NULL, threshold double precision DEFAULT NULL)
    RETURNS TABLE (tag text, score real)
    AS 'MODULE_PATHNAME', 'bert_tag_scores' LANGUAGE C STABLE PARALLEL SAFE COST 400000 ROWS 20;
COMMENT ON FUNCTION bert_tag_scores(text, integer, double precision)
    IS 'tags of a text by the default model with their scores, best first';

CREATE FUNCTION bert_tag_scores(text text, model text, top_k integer DEFAULT NULL, threshold double precision DEFAULT NULL)
    RETURNS TABLE (tag text, score real)
    AS 'MODULE_PATHNAME', 'bert_tag_scores' LANGUAGE C IMMUTABLE PARALLEL SAFE COST 400000 ROWS 20;
COMMENT ON FUNCTION bert_tag_scores(text, text, integer, double precision) IS 'tags of a text with their scores, best first';

CREATE FUNCTION bert_tokenize(text text) RETURNS TABLE ("position" integer, token text, id integer)
    AS 'MODULE_PATHNAME', 'bert_tokenize' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000 ROWS 200;
COMMENT ON FUNCTION bert_tokenize(text) IS 'tokens that the default model reads of a text, [CLS] and [SEP] included';

CREATE FUNCTION bert_tokenize(text text, model text) RETURNS TABLE ("position" integer, token text, id integer)
    AS 'MODULE_PATHNAME', 'bert_tokenize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000 ROWS 200;
COMMENT ON FUNCTION bert_tokenize(text, text) IS 'tokens that a model reads of a text, [CLS] and [SEP] included';

CREATE FUNCTION bert_token_count(text text) RETURNS integer
    AS 'MODULE_PATHNAME', 'bert_token_count' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 5000;
COMMENT ON FUNCTION bert_token_count(text) IS 'number of tokens that the default model reads of a text, [CLS] and [SEP] included';

CREATE FUNCTION bert_token_count(text text, model text) RETURNS integer
    AS 'MODULE_PATHNAME', 'bert_token_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5000;
COMMENT ON FUNCTION bert_token_count(text, text) IS 'number of tokens that a model reads of a text, [CLS] and [SEP] included';

CREATE FUNCTION bert_similarity(a real[], b real[]) RETURNS real
    AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 200;
COMMENT ON FUNCTION bert_similarity(real[], real[]) IS 'cosine of two vectors, from -1 to 1; 0 if one is all zeros';

CREATE FUNCTION bert_tags_trigger() RETURNS trigger
    AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION bert_tags_trigger() IS 'fills a column with the tags or the embedding of others';

-- Counted in this backend: a parallel worker could not answer for the session, nor the session for its workers.
CREATE FUNCTION bert_session_stats(OUT calls bigint, OUT texts bigint, OUT tokens bigint, OUT windows bigint, OUT truncated bigint)
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION bert_session_stats() IS 'what this session has computed, without its parallel workers, and how many texts its models cut';

CREATE FUNCTION bert_session_stats_reset() RETURNS void
    AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION bert_session_stats_reset() IS 'set what bert_session_stats counts back to zero';

-- ---- The model that ships -------------------------------------------------------------------------------------------

SELECT bert_load_shipped_model();
