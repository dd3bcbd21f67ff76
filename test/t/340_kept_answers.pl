# The three ways to keep answers (column and trigger, generated column, expression index): when BERT runs, and what dump
# and restore do.  Where BERT must not run, the model is not there to run.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $models = "$FindBin::RealBin/../golden/sql";
my $node   = PostgreSQL::Test::Cluster->new('kept');
$node->init;
$node->start;
my $dir = PostgreSQL::Test::Utils::tempdir();

# "a_" comes before bert_model in a dump, "z_" after.
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION moviebert;
	SELECT bert_load_model('tagger', '$models/tagger.safetensors'), bert_default_model('tagger');
	CREATE TABLE a_trigger (id int PRIMARY KEY, plot text, seen int, tags text[], v real[]);
	CREATE TRIGGER t BEFORE INSERT OR UPDATE ON a_trigger FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot');
	CREATE TRIGGER v BEFORE INSERT OR UPDATE ON a_trigger FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('v', 'plot', 'model=tagger');
	CREATE TABLE a_generated (id int PRIMARY KEY, plot text, seen int, v real[] GENERATED ALWAYS AS (bert_embed(plot, 'tagger')) STORED);
	CREATE TABLE z_generated (LIKE a_generated INCLUDING ALL);
	CREATE TABLE a_index (id int PRIMARY KEY, plot text, seen int);
	CREATE INDEX a_index_v ON a_index ((bert_embed(plot, 'tagger')));
	CREATE INDEX a_index_seen ON a_index (seen);
	INSERT INTO a_trigger (id, plot) SELECT i, 'the ghost ' || i FROM generate_series(1, 20) AS i;
	INSERT INTO a_generated (id, plot) SELECT id, plot FROM a_trigger;
	INSERT INTO z_generated (id, plot) SELECT id, plot FROM a_trigger;
	INSERT INTO a_index (id, plot) SELECT id, plot FROM a_trigger;
});
my $all = q{SELECT (SELECT count(*) FROM a_trigger WHERE v = bert_embed(plot, 'tagger') AND tags = bert_tags(plot, 'tagger')),
	(SELECT count(*) FROM a_generated WHERE v = bert_embed(plot, 'tagger')),
	(SELECT count(*) FROM z_generated WHERE v = bert_embed(plot, 'tagger')),
	(SELECT count(*) FROM a_index)};
is($node->safe_psql('postgres', $all), '20|20|20|20', 'all three keep answers');
like($node->safe_psql('postgres', q{SET enable_seqscan = off; EXPLAIN SELECT id FROM a_index WHERE bert_embed(plot, 'tagger') = '{1}'}),
	qr/Index Scan using a_index_v/, 'the index is used');

# Dump and restore.  A generated column needs its model while it is restored, and pg_dump, which orders tables by name, does
# not know.  Where the models come too late that is an error, not a wrong value; and there is an order that works.
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(at_once models_first);
my ($stdout, $stderr) = run_command([ 'pg_restore', '-d', $node->connstr('at_once'), "$dir/dump" ]);
like($stderr, qr/model "tagger" does not exist.*COPY a_generated/s, 'restored at once, a generated column that comes before the models fails');
unlike($stderr, qr/COPY (a_trigger|z_generated|a_index)/, 'the others do not');
is($node->safe_psql('at_once', $all), '20|0|20|20', 'and have their rows');

my @into = ('-d', $node->connstr('models_first'));
$node->command_ok([ 'pg_restore', @into, '--section=pre-data', "$dir/dump" ], 'restored in steps: definitions');
$node->command_ok([ 'pg_restore', @into, '--section=data', '-t', 'bert_model', '-t', 'bert_model_chunk', "$dir/dump" ], 'then the models');
my ($list) = run_command([ 'pg_restore', '-l', "$dir/dump" ]);
open my $rest, '>', "$dir/rest" or die "$dir/rest: $!";
print $rest grep { !/TABLE DATA .* bert_model/ } map { "$_\n" } split /\n/, $list;
close $rest;
$node->command_ok([ 'pg_restore', @into, '--section=data', '--section=post-data', '-j', '2', '-L', "$dir/rest", "$dir/dump" ], 'then the rest, in parallel');
is($node->safe_psql('models_first', $all), '20|20|20|20', 'everything is there');
is($node->safe_psql('models_first', q{SET enable_seqscan = off; SELECT id FROM a_index WHERE bert_embed(plot, 'tagger') = bert_embed('the ghost 3', 'tagger')}),
	'3', 'the index finds');
is($node->safe_psql('models_first', q{INSERT INTO a_trigger (id, plot) VALUES (100, 'the ghost 1');
	SELECT v = (SELECT v FROM a_trigger WHERE id = 1) FROM a_trigger WHERE id = 100}), 't', 'and the trigger goes on filling');

# Without the model: what still works is what runs no BERT.
$node->safe_psql('postgres', q{SELECT bert_drop_model('tagger')});
sub works
{
	my ($sql, $expected, $what) = @_;
	my $error = '';
	my $status = $node->psql('postgres', $sql, stderr => \$error);
	if ($expected) { is($status, 0, $what) or diag($error); }
	else { like($error, qr/(model "tagger" does not exist|no default model)/, $what); }
	return;
}
works('UPDATE a_trigger SET seen = 1',                             1, 'trigger: UPDATE of another column runs no BERT');
works('ANALYZE a_trigger',                                         1, 'trigger: nor does ANALYZE');
works(q{INSERT INTO a_trigger VALUES (99, 'ghost')},               0, 'trigger: INSERT does');
works('UPDATE a_generated SET seen = 1',                           1, 'generated column: UPDATE of another column runs no BERT');
works('ANALYZE a_generated',                                       1, 'generated column: nor does ANALYZE');
works(q{UPDATE a_generated SET plot = 'a robot' WHERE id = 1},     0, 'generated column: UPDATE of the text does');
works('UPDATE a_index SET seen = 1 WHERE id = 1',                  0, 'index: an UPDATE that is not HOT runs BERT');
works('ANALYZE a_index',                                           0, 'index: so does ANALYZE');
works('REINDEX INDEX a_index_v',                                   0, 'index: and REINDEX');
works('ALTER INDEX a_index_v ALTER COLUMN 1 SET STATISTICS 0; ANALYZE a_index', 1, 'index: ANALYZE does not with SET STATISTICS 0');
works('VACUUM a_index',                                            1, 'index: nor does VACUUM');
works('SELECT * FROM a_index; SELECT v FROM a_generated',          1, 'data can be read');

$node->stop;
done_testing();
