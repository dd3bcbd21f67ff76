-- tour.sql - what the demo shows.  It changes nothing: the one INSERT is rolled back.
\set QUIET on
\pset border 1
\pset null '-'

\echo
\echo == SELECT title, bert_tags(plot) FROM movies LIMIT 5;
SELECT title, bert_tags(plot) FROM movies LIMIT 5;

\echo '== Recommended tags beside the editors'' own'
SELECT left(title, 32) AS title, array_to_string(recommended, ', ') AS "recommended by the model", array_to_string(tags, ', ') AS "editors' tags"
  FROM movies ORDER BY title LIMIT 14;

\echo == Films like Alien
SELECT left(title, 40) AS title, year, round(bert_similarity(embedding, (SELECT embedding FROM movies WHERE title = 'Alien'))::numeric, 3) AS similarity
  FROM movies WHERE title <> 'Alien' ORDER BY similarity DESC LIMIT 5;

\echo == Search in your own words: "a thief plans one last robbery"
SELECT left(title, 40) AS title, year, round(bert_similarity(embedding, bert_embed('a thief plans one last robbery', :'model'))::numeric, 3) AS similarity
  FROM movies ORDER BY similarity DESC LIMIT 5;

\echo == A new row is tagged as it comes in
BEGIN;
INSERT INTO movies (id, title, year, tags, plot) OVERRIDING SYSTEM VALUE
VALUES (0, 'The Lighthouse Ghost', 2031, '{}',
        'Two children spend the summer with their grandmother in an old lighthouse. At night footsteps come up the stairs, and the ghost of a drowned sailor begs them to find his lost ring.')
RETURNING title, array_to_string(recommended, ', ') AS "recommended by the trigger", cardinality(embedding) AS dimensions;
ROLLBACK;
