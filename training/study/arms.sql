-- arms.sql - what the study's arms read: equally many words of each kind of text, drawn at random, whole documents.
--
--   :words        words of an arm (psql -v words=2000000)
--
-- Films of folds 1 and 2 are left out where a document's film is known; a review's is not.

DROP VIEW IF EXISTS study_arm_general, study_arm_movies, study_arm_half, study_arm_general_half, study_arm_movies_half;
DROP FUNCTION IF EXISTS study_words;
DROP TABLE IF EXISTS study_draw;
CREATE TABLE study_draw AS
SELECT part, number, words, sum(words) OVER (PARTITION BY part ORDER BY place, number) AS so_far
  FROM (SELECT part, number, length(text) - length(replace(text, ' ', '')) + 1 AS words,
               hashint8extended(number, 20261125) AS place
          FROM study_text WHERE fold IS NULL OR fold > 2) AS documents;
DELETE FROM study_draw WHERE so_far > :words + 5000;
ALTER TABLE study_draw ADD PRIMARY KEY (part, number);
ANALYZE study_draw;

-- One part, up to a number of words.
CREATE FUNCTION study_words(part text, words bigint) RETURNS TABLE (number bigint, text text) LANGUAGE sql STABLE AS $$
	SELECT t.number, t.text FROM study_draw AS d JOIN study_text AS t USING (part, number)
	 WHERE d.part = $1 AND d.so_far <= $2 ORDER BY number
$$;
CREATE VIEW study_arm_general AS SELECT number AS key, text FROM study_words('general', :words);
CREATE VIEW study_arm_movies AS SELECT number AS key, text FROM study_words('movies', :words);
CREATE VIEW study_arm_half AS
	SELECT number AS key, text FROM study_words('general', :words / 2)
	UNION ALL SELECT number + 1000000, text FROM study_words('movies', :words / 2);
CREATE VIEW study_arm_general_half AS SELECT number AS key, text FROM study_words('general', :words / 2);
CREATE VIEW study_arm_movies_half AS SELECT number AS key, text FROM study_words('movies', :words / 2);
