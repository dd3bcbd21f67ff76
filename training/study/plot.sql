-- plot.sql - macro AP of every run as an SVG:   psql -X -q -At -v hows=full,frozen -f plot.sql <FOLDER/results.jsonl
--
-- One row for each way to train (in the order given) and arm: a dot for each seed, and a bar at their mean.
\ir results.sql

WITH wanted AS (
	SELECT r.*, h.place FROM result AS r
	  JOIN unnest(string_to_array(:'hows', ',')) WITH ORDINALITY AS h (how, place) USING (how)),
bounds AS (
	SELECT floor(min(macro_ap)) AS low, ceil(max(macro_ap)) AS high,
	       CASE WHEN max(macro_ap) - min(macro_ap) > 12 THEN 5 WHEN max(macro_ap) - min(macro_ap) > 5 THEN 2 ELSE 1 END AS step
	  FROM wanted),
lines AS (
	SELECT how, arm, place, avg(macro_ap) AS mean, row_number() OVER (ORDER BY place, avg(macro_ap) DESC) AS line
	  FROM wanted GROUP BY how, arm, place),
-- A unit is a pixel: names left of x = 190, the axis from there to 620.
placed AS (
	SELECT l.*, 190 + 430 * (l.mean - b.low) / (b.high - b.low) AS x, 20 + 22 * l.line AS y FROM lines AS l, bounds AS b),
size AS (SELECT max(y) + 44 AS height, max(y) + 12 AS bottom FROM placed)
SELECT format('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 %s" font-family="sans-serif" font-size="12" role="img" aria-label="Macro AP by arm">', height) ||
       E'\n<style>text{fill:#222}.grid{stroke:#ddd}.dot{fill:#3b6ea5;fill-opacity:.55}.mean{stroke:#b3452c;stroke-width:3}rect{fill:#fff}'
       '@media (prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.dot{fill:#8ab4e8}.mean{stroke:#f0876c}rect{fill:#111}}</style>'
       || format(E'\n<rect width="640" height="%s"/>', height)
  FROM size
UNION ALL
SELECT format('<line class="grid" x1="%1$s" x2="%1$s" y1="28" y2="%2$s"/><text x="%1$s" y="%3$s" text-anchor="middle">%4$s</text>',
              round(190 + 430 * (tick - low) / (high - low), 1), bottom, bottom + 16, tick)
  FROM bounds, size, generate_series(low, high, step) AS tick
UNION ALL
SELECT format('<text x="405" y="%s" text-anchor="middle">macro AP, points</text>', bottom + 30) FROM size
UNION ALL
SELECT format('<text x="180" y="%s" text-anchor="end">%s, %s</text>', y + 4, arm, how) FROM placed
UNION ALL
SELECT format('<circle class="dot" cx="%s" cy="%s" r="4"/>', round(190 + 430 * (w.macro_ap - b.low) / (b.high - b.low), 1), p.y)
  FROM wanted AS w JOIN placed AS p USING (how, arm), bounds AS b
UNION ALL
SELECT format('<line class="mean" x1="%1$s" x2="%1$s" y1="%2$s" y2="%3$s"/>', round(x, 1), y - 8, y + 8) FROM placed
UNION ALL
SELECT '</svg>';
