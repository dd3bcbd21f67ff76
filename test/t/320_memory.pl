# A backend's own memory: bounded by a window, given back after a huge text, the same after many calls.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/smaps_rollup';

my $models = "$FindBin::RealBin/../golden/sql";
my $node   = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', 'jit = off');
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION moviebert;
	SELECT bert_load_model('plain', '$models/plain.safetensors'), bert_load_model('tagger', '$models/tagger.safetensors');
	SELECT bert_default_model('tagger');
	CREATE TABLE films (id int, plot text, tags text[], embedding real[]);
	CREATE TRIGGER t BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot');
	CREATE TRIGGER e BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('embedding', 'plot');
});

# Kilobytes of anonymous memory before and after some statements, in one session.
sub growth
{
	my ($statements) = @_;
	my $kb = q{SELECT 'kB ' || (regexp_match(pg_read_file('/proc/self/smaps_rollup'), 'Anonymous: +(\d+)'))[1];};
	my $warm = q{SELECT bert_embed('warm', 'plain') IS NULL, bert_tags('warm') IS NULL, (SELECT count(*) FROM bert_tokenize('warm'));};
	my $out = $node->safe_psql('postgres', "$warm $kb $statements; $kb");
	my ($before, $after) = $out =~ /kB (\d+)/g;
	note("$before kB before, $after kB after: $statements");
	return $after - $before;
}

cmp_ok(growth("SELECT cardinality(bert_embed(repeat('of ', 3000000)))"), '<', 10240, 'after a text of 9 MB');
cmp_ok(growth("SELECT bert_tags(repeat('of the ghost ', 100000))"),      '<', 10240, 'after a text of 1.3 MB');
cmp_ok(growth("SELECT count(*) FROM bert_tokenize(repeat('of ', 1000000))"), '<', 10240, 'after tokenizing 3 MB');
cmp_ok(growth("SELECT count(bert_embed('ghost ' || i)), count(bert_tags('ghost ' || i)) FROM generate_series(1, 30000) AS i"),
	'<', 1024, 'after 60,000 calls');
cmp_ok(growth("SELECT count(s) FROM generate_series(1, 10000) AS i, bert_tag_scores('ghost ' || i) AS s"), '<', 1024, 'after 10,000 sets of scores');
cmp_ok(growth("INSERT INTO films (id, plot) SELECT i, 'ghost ' || i FROM generate_series(1, 10000) AS i"), '<', 2048, 'after 10,000 rows through two triggers');
cmp_ok(
	growth(
		q{DO $$ BEGIN FOR i IN 1 .. 5000 LOOP BEGIN PERFORM bert_tags('ghost', 'plain'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$}),
	'<', 1024, 'after 5,000 errors');

$node->stop;
done_testing();
