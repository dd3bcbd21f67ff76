-- results.sql - what study.sh measured, read from standard input: the temporary view result, in points of 100.
--
-- A run's name is ARM.HOW.SEED.  A line that a rerun wrote again counts once, the last time.

CREATE TEMP TABLE result_line (number bigint GENERATED ALWAYS AS IDENTITY, doc jsonb);
\copy result_line (doc) FROM pstdin WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

CREATE TEMP VIEW result AS
SELECT DISTINCT ON (doc->>'name') split_part(doc->>'name', '.', 1) AS arm, split_part(doc->>'name', '.', 2) AS how, (doc->>'seed')::integer AS seed,
       100 * (doc#>>'{metrics,macro_ap}')::numeric AS macro_ap, 100 * (doc#>>'{metrics,micro_ap}')::numeric AS micro_ap,
       100 * (doc#>>'{metrics,at_calibrated_thresholds,micro_f1}')::numeric AS micro_f1,
       100 * (doc#>>'{metrics,at_calibrated_thresholds,macro_f1}')::numeric AS macro_f1
  FROM result_line ORDER BY doc->>'name', number DESC;

