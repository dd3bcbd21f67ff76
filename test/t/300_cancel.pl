# A running call stops: statement_timeout, pg_cancel_backend, pg_terminate_backend; afterwards everything works.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $models = "$FindBin::RealBin/../golden/sql";
my $node   = PostgreSQL::Test::Cluster->new('cancel');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION moviebert;
	SELECT bert_load_model('plain', '$models/plain.safetensors'), bert_load_model('tagger', '$models/tagger.safetensors');
	SELECT bert_default_model('tagger');
	CREATE TABLE films (plot text, tags text[]);
	CREATE TRIGGER t BEFORE INSERT OR UPDATE ON films FOR EACH ROW EXECUTE FUNCTION bert_tags_trigger('tags', 'plot');
	CREATE TABLE many AS SELECT repeat('the ghost ship ', 5000) || i AS plot FROM generate_series(1, 2000) AS i;
});

# 10 MB, 3.4 million tokens: some ten seconds of computing.
my $ten_mb = "repeat('of ', 3400000)";
# A stop comes within milliseconds; a machine under load may be slow to give the backend its turn.
my $bound = 3;

my %long = (
	'a text of 10 MB'         => "SELECT bert_embed($ten_mb, 'plain')",
	'tags of a text of 10 MB' => "SELECT bert_tags($ten_mb)",
	'an array'                => "SELECT cardinality(bert_embed(array_fill('of the ghost'::text, ARRAY[2000000]), 'plain'))",
	'a trigger'               => "INSERT INTO films VALUES ($ten_mb)",
	'tokenizing'              => "SELECT bert_token_count(repeat('of ', 60000000))",
	'a parallel query'        => "SET max_parallel_workers_per_gather = 2; SET min_parallel_table_scan_size = 0; "
	  . 'SELECT max(cardinality(bert_embed(plot))) FROM many',
	'a planner that folds a constant' => "EXPLAIN SELECT bert_embed(repeat('of ', 3400000), 'plain')");

for my $what (sort keys %long)
{
	my ($out, $err);
	my $start = time;
	$node->psql(
		'postgres', qq{
		\\set VERBOSITY sqlstate
		SET statement_timeout = '300ms';
		$long{$what};
		RESET statement_timeout;
		SELECT 'works: ' || (bert_embed('ghost') = bert_embed('ghost', 'tagger'));
		},
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	my $elapsed = time - $start;
	like($err, qr/ERROR:  57014/, "statement_timeout stops $what");
	cmp_ok($elapsed, '<', $bound, "statement_timeout stops $what soon");
	like($out, qr/works: true/, "the session works after $what");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM films'), '0', 'a stopped trigger left no row');

# Another session cancels, then terminates.
for my $how ([ 'pg_cancel_backend', qr/ERROR:  57014/ ], [ 'pg_terminate_backend', qr/FATAL:  57P01/ ])
{
	my ($function, $expected) = @$how;
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start(
		[   'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres') . ' application_name=victim',
			'-c', "SELECT bert_embed($ten_mb, 'plain')", '-c', "SELECT 'still here'" ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	my $running = "FROM pg_stat_activity WHERE application_name = 'victim' AND query LIKE '%bert_embed%' AND state = 'active'";
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $running") or die 'the call did not start';
	sleep 0.2;
	my $start = time;
	is($node->safe_psql('postgres', "SELECT $function(pid) $running"), 't', "$function finds the call running");
	$psql->finish;
	cmp_ok(time - $start, '<', $bound, "$function stops it soon");
	like($err, $expected, "$function: SQLSTATE");
	is($out, $function eq 'pg_cancel_backend' ? "still here\n" : '', "$function: what comes after");
}

# DROP DATABASE waits for all backends to take notice of a barrier; a long call must not keep it waiting.
my ($out, $err) = ('', '');
$node->safe_psql('postgres', 'CREATE DATABASE other');
my $psql = IPC::Run::start(
	[   'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=busy',
		'-c', "SELECT cardinality(bert_embed($ten_mb, 'plain'))" ],
	'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'");
my $start = time;
$node->safe_psql('postgres', 'DROP DATABASE other');
cmp_ok(time - $start, '<', $bound, 'DROP DATABASE does not wait for a long call');
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'"),
	'1', 'which still runs');
$psql->finish;
is($out, "16\n", 'and ends well') or diag($err);

$node->stop;
done_testing();
