# A running call stops: statement_timeout, pg_cancel_backend, pg_terminate_backend; afterwards everything works.
use strict;
use warnings;
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

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
# A stop comes within milliseconds.  What is bounded is the server's own time from the timeout or the cancel to the error,
# without psql's start; a machine under load may yet be slow to give the backend its turn.
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
	$node->psql(
		'postgres', qq{
		\\set VERBOSITY sqlstate
		SET statement_timeout = '300ms';
		SELECT clock_timestamp() AS start \\gset
		$long{$what};
		RESET statement_timeout;
		SELECT 'seconds: ' || extract(epoch FROM clock_timestamp() - :'start'::timestamptz);
		SELECT 'works: ' || (bert_embed('ghost') = bert_embed('ghost', 'tagger'));
		},
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	my ($elapsed) = $out =~ /seconds: ([0-9.]+)/;
	like($err, qr/ERROR:  57014/, "statement_timeout stops $what");
	cmp_ok($elapsed, '<', 0.3 + $bound, "statement_timeout stops $what soon");
	like($out, qr/works: true/, "the session works after $what");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM films'), '0', 'a stopped trigger left no row');

# Another session cancels, then terminates; the latter waits until the backend is gone.
for my $how ([ 'pg_cancel_backend', 'pid', qr/ERROR:  57014/ ], [ 'pg_terminate_backend', 'pid, 30000', qr/FATAL:  57P01/ ])
{
	my ($function, $arguments, $expected) = @$how;
	my ($out, $err) = ('', '');
	my $psql = IPC::Run::start(
		[   'psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres') . ' application_name=victim',
			'-c', "SELECT bert_embed($ten_mb, 'plain')", '-c', "SELECT 'still here at ' || extract(epoch FROM clock_timestamp())" ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	my $running = "FROM pg_stat_activity WHERE application_name = 'victim' AND query LIKE '%bert_embed%' AND state = 'active'";
	$node->poll_query_until('postgres', "SELECT count(*) = 1 $running") or die 'the call did not start';
	sleep 0.2;
	my $now = 'extract(epoch FROM clock_timestamp())';
	my ($start, $found, $end) = split /\|/, $node->safe_psql('postgres', "SELECT $now, $function($arguments), $now $running");
	is($found, 't', "$function finds the call running");
	$psql->finish;
	my $after = '';
	if ($function eq 'pg_cancel_backend') { ($after, $end) = $out =~ /^(still here) at ([0-9.]+)\n$/; }
	cmp_ok($end - $start, '<', $bound, "$function stops it soon");
	like($err, $expected, "$function: SQLSTATE");
	is($after, $function eq 'pg_cancel_backend' ? 'still here' : $out, "$function: what comes after");
}

# DROP DATABASE waits for all backends to take notice of a barrier; a long call must not keep it waiting.
my ($out, $err) = ('', '');
$node->safe_psql('postgres', 'CREATE DATABASE other');
my $psql = IPC::Run::start(
	[   'psql', '-XAtq', '-d', $node->connstr('postgres') . ' application_name=busy',
		'-c', "SELECT cardinality(bert_embed($ten_mb, 'plain'))" ],
	'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'");
my $waited = $node->safe_psql(
	'postgres', q{
	SELECT clock_timestamp() AS start \gset
	DROP DATABASE other;
	SELECT extract(epoch FROM clock_timestamp() - :'start'::timestamptz)});
cmp_ok($waited, '<', $bound, 'DROP DATABASE does not wait for a long call');
is( $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'"),
	'1', 'which still runs');
$psql->finish;
is($out, "16\n", 'and ends well') or diag($err);

$node->stop;
done_testing();
