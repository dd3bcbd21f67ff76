# pgvector, where the server has it: the cast, an index, the trigger, dimensions that do not fit.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $models = "$FindBin::RealBin/../golden/sql";
my $node   = PostgreSQL::Test::Cluster->new('pgvector');
$node->init;
$node->start;
if ($node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'") eq '0')
{
	$node->stop;
	plan skip_all => 'the extension vector (pgvector) is not installed';
}
$node->safe_psql(
	'postgres', qq{
	CREATE SCHEMA elsewhere;
	CREATE EXTENSION vector SCHEMA elsewhere;
	ALTER DATABASE postgres SET search_path = public, elsewhere;
	CREATE EXTENSION moviebert;
	SELECT bert_load_model('tagger', '$models/tagger.safetensors'), bert_default_model('tagger');
});
is($node->safe_psql('postgres', q{SELECT vector_dims(bert_embed('ghost')::vector)}), '16', 'the cast');
is( $node->safe_psql('postgres', q{SELECT bert_embed('ghost')::vector::real[] = bert_embed('ghost')}),
	't', 'there and back');
is( $node->safe_psql(
		'postgres',
		q{SELECT max(abs((1 - (bert_embed(a)::vector <=> bert_embed(b)::vector)) - bert_similarity(bert_embed(a), bert_embed(b)))) < 1e-6
		    FROM (VALUES ('ghost'), ('the ghost ship'), ('a robot in space')) AS x (a), (VALUES ('killer'), ('ghost')) AS y (b)}),
	't', 'one cosine as the other');

$node->safe_psql(
	'postgres', q{
	CREATE DOMAIN embedding AS vector(16);
	CREATE TABLE films (plot text, v vector, v16 vector(16), d embedding, h halfvec(16));
	CREATE TRIGGER a BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('v', 'plot');
	CREATE TRIGGER b BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('v16', 'plot', 'model=tagger');
	CREATE TRIGGER c BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('d', 'plot');
	CREATE TRIGGER d BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('h', 'plot');
	INSERT INTO films SELECT 'the ghost ' || i FROM generate_series(1, 200) AS i;
	INSERT INTO films VALUES (NULL);
	CREATE INDEX ON films USING hnsw (v16 vector_cosine_ops);
	ANALYZE films;
});
is( $node->safe_psql('postgres', q{SELECT count(*), bool_and(v = bert_embed(plot)::vector AND v16 = v AND d = v AND vector_dims(h) = 16) FROM films}),
	'201|t', 'the trigger fills vectors');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM films WHERE plot IS NULL AND num_nulls(v, v16, d, h) = 4}), '1', 'and nulls');
$node->safe_psql('postgres', q{UPDATE films SET plot = 'a robot' WHERE plot = 'the ghost 7'});
my $search = q{SELECT plot FROM films ORDER BY v16 <=> bert_embed('a robot', 'tagger')::vector LIMIT 1};
is($node->safe_psql('postgres', "SET enable_seqscan = off; $search"), 'a robot', 'an index finds it');
like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN $search"), qr/Index Scan using films_v16_idx/, 'it is the index');

# The README's way: a column of the default model's dimensions, and a query that names no model.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE movies (plot text, embedding real[]);
	INSERT INTO movies SELECT 'the ghost ' || i, bert_embed('the ghost ' || i) FROM generate_series(1, 2000) AS i;
	SELECT format('ALTER TABLE movies ADD COLUMN embedding_v vector(%s)', dimensions)
	  FROM bert_models WHERE is_default \gexec
	UPDATE movies SET embedding_v = embedding::vector;
	CREATE INDEX ON movies USING hnsw (embedding_v vector_cosine_ops);
	VACUUM ANALYZE movies;
});
$search = q{SELECT plot FROM movies ORDER BY embedding_v <=> bert_embed('the ghost 77')::vector LIMIT 5};
like($node->safe_psql('postgres', "EXPLAIN $search"), qr/Index Scan using movies_embedding_v_idx/,
	'the planner chooses the README\'s index for the README\'s query');
is((split /\n/, $node->safe_psql('postgres', $search))[0], 'the ghost 77', 'which finds the nearest');

$node->safe_psql('postgres', q{
	CREATE TABLE narrow (plot text, v vector(3));
	CREATE TRIGGER a BEFORE INSERT ON narrow FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('v', 'plot')});
my $err;
$node->psql('postgres', "\\set VERBOSITY verbose\nINSERT INTO narrow VALUES ('ghost')", stderr => \$err);
like($err, qr/ERROR:  22000: expected 3 dimensions, not 16.*trigger "a" on table "narrow"/s, 'dimensions that do not fit');

# A trigger's cast is found wherever the type lives.
is( $node->safe_psql('postgres', q{SET search_path = public; INSERT INTO films VALUES ('a train') RETURNING v IS NOT NULL}),
	't', 'with pgvector outside the search path');

$node->stop;
done_testing();
