-- load.sql - the study's rows, from the raw lines that load.sh copied in: tables study_labelled and study_text.
--
--   study_line      number, part ('movies', 'general'), text              a document a line, as it came
--   study_record    doc jsonb                                             a labelled text of a film
--
-- Films are divided by title, never by row: fold 1 is for choosing, fold 2 for the figures, 3 to 9 for training.  Fold 0
-- is in none of the files.

CREATE EXTENSION IF NOT EXISTS unaccent;

-- The data's own key of a film's title, and the fold that it hashes to.
CREATE FUNCTION study_film(title text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT regexp_replace(btrim(regexp_replace(
	       regexp_replace(regexp_replace(replace(public.unaccent(lower(
	       regexp_replace(btrim($1), '^(.*);(the|an|a)$', '\2 \1', 'i'))), '&', ' and '),
	       '\((\d{4} )?(film|movie)\)', '', 'g'), '[''’]', '', 'g'), '[^a-z0-9]+', ' ', 'g')), '^(the|an|a) ', '')
$$;

CREATE FUNCTION study_fold(film text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT (('x' || left(encode(sha256(convert_to('20261123:' || $1, 'UTF8')), 'hex'), 8))::bit(32)::bigint % 10)::integer
$$;

-- Hashes of a text's runs of n words: what two texts share of them tells copies.
CREATE FUNCTION study_shingles(body text, n integer) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT DISTINCT hashtextextended(array_to_string(words[i:i + n - 1], ' '), 0)
	  FROM (SELECT regexp_split_to_array(btrim(regexp_replace(lower(body), '[^a-z0-9]+', ' ', 'g')), ' ') AS words) AS w,
	       generate_series(1, cardinality(words) - n + 1) AS i
$$;

-- ---- labelled texts ---------------------------------------------------------------------------------------------------

CREATE TABLE study_labelled AS
SELECT doc->>'id' AS id, doc->>'source' AS source, doc->>'kind' AS kind, doc->>'title' AS title, (doc->>'year')::integer AS year,
       doc->>'text' AS text, doc->>'group' AS film, (doc->>'fold')::integer AS fold,
       ARRAY(SELECT jsonb_array_elements_text(doc->'genres') ORDER BY 1) AS genres,
       CASE WHEN jsonb_typeof(doc->'keywords') = 'array'
            THEN ARRAY(SELECT jsonb_array_elements_text(doc->'keywords') ORDER BY 1) END AS keywords,
       coalesce((doc->>'keywords_truncated')::boolean, false) AS keywords_truncated
  FROM study_record;
ALTER TABLE study_labelled ADD PRIMARY KEY (id);

-- ---- the corpora's documents, told apart by their form ------------------------------------------------------------------

-- The first sentence of an encyclopaedia's article on a film: what it calls the film is a label, and the title its key.
CREATE TABLE study_text AS
SELECT number, part, text,
       regexp_match(left(text, 400), '^(.{1,100}?),? (?:\([^)]{0,200}\) )?(?:is|was) an? (?:upcoming |lost )?((?:1[89]|20)\d\d) (.{0,120}?)\y(?:film|movie|short|documentary|western|musical|serial|comedy|drama|anime|cartoon|thriller)\y', 'i') AS lead,
       text ~ '\y(I|I''m|I''ve|my|me|My)\y' AS first_person
  FROM study_line;
ALTER TABLE study_text ADD PRIMARY KEY (part, number), ADD kind text, ADD film text, ADD fold integer;
UPDATE study_text
   SET kind = CASE
         WHEN part = 'movies' AND lead IS NOT NULL AND NOT first_person THEN 'film article'
         WHEN part = 'movies' AND first_person THEN 'review'
         WHEN part = 'movies' THEN 'review or plot'
         WHEN text ~ '\d' AND NOT first_person AND text !~ '@' AND text ~ '^[A-Z"].{0,160}?\y(is|was|are|were) (an?|the|one of)\y'
              AND (SELECT count(*) FROM regexp_matches(text, '\ysaid\y', 'g')) < 2 THEN 'encyclopaedia'
         WHEN text !~ '\d' AND length(text) > 2500 AND text ~ '\y(replied|exclaimed|cried|answered)\y' THEN 'novel'
         ELSE 'other' END,
       film = CASE WHEN part = 'movies' AND lead IS NOT NULL AND NOT first_person THEN study_film(lead[1]) END;
UPDATE study_text SET fold = study_fold(film) WHERE film IS NOT NULL;
-- Plots in the corpus are the labelled set's.
UPDATE study_text AS t SET kind = 'film plot', film = l.film, fold = l.fold
  FROM study_labelled AS l
 WHERE t.part = 'movies' AND t.kind = 'review or plot' AND l.source LIKE 'wikipedia%' AND left(t.text, 200) = left(l.text, 200);
