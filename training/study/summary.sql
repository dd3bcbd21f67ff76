-- summary.sql - tables of what study.sh measured:   psql -X -q -f summary.sql <FOLDER/results.jsonl
\ir results.sql
\pset footer off

\echo 'Points of 100 on fold 2, mean over seeds:'
SELECT how, arm, count(*) AS seeds, round(avg(macro_ap), 2) AS "macro AP", round(stddev_samp(macro_ap), 2) AS "its s.d.",
       round(avg(micro_ap), 2) AS "micro AP", round(avg(micro_f1), 2) AS "micro F1", round(avg(macro_f1), 2) AS "macro F1"
  FROM result GROUP BY how, arm ORDER BY how, avg(macro_ap) DESC;

\echo 'Macro AP against the arm that read general text, seed by seed:'
SELECT how, arm, count(*) AS pairs, round(avg(r.macro_ap - g.macro_ap), 2) AS difference,
       round(min(r.macro_ap - g.macro_ap), 2) AS least, round(max(r.macro_ap - g.macro_ap), 2) AS most,
       count(*) FILTER (WHERE r.macro_ap > g.macro_ap) AS better
  FROM result AS r JOIN (SELECT how, seed, macro_ap FROM result WHERE arm = 'general') AS g USING (how, seed)
 WHERE arm <> 'general' GROUP BY how, arm ORDER BY how, avg(r.macro_ap - g.macro_ap) DESC;
