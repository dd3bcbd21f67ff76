# Several backends at once, parallel workers among them: an image is written once, and all give the same numbers; what one
# session changes, others see; dropping a model hurts nobody who is using it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my %sum;
$sum{$_} = ModelFile::write_file("$dir/$_.safetensors", ModelFile::bytes(hidden => 128, intermediate => 512, layers => 4, vocab => 4000, seed => ord $_))
  for qw(a b);

my $node = PostgreSQL::Test::Cluster->new('concurrent');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 40\nmax_worker_processes = 16\nmax_parallel_workers = 8\n");
$node->start;
my $images = $node->data_dir . '/moviebert';
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$node->safe_psql('postgres', "SELECT bert_load_model('$_', '$dir/$_.safetensors')") for qw(a b);

# How often the server says that it wrote an image, since last asked.
my $log_at = 0;
sub written
{
	my $log = slurp_file($node->logfile, $log_at);
	$log_at = -s $node->logfile;
	return scalar(() = $log =~ /LOG:  wrote the image of model/g);
}
sub files { return join ' ', sort map { s/.*\///r } glob("$images/*") }

# ---- Sessions -----------------------------------------------------------------------------------------------------
my @sessions = map { Session->new($node, 'postgres') } 1 .. 8;
my $embed    = "SELECT md5(bert_embed('a ghost loves the robot', 'a')::text)";
# All wait for one lock, and go when it is released.
my $starter = Session->new($node, 'postgres');
$starter->query('SELECT pg_advisory_lock(1)');
$_->send("SELECT pg_advisory_lock_shared(1); $embed") for @sessions;
$node->poll_query_until('postgres', q{SELECT count(*) = 8 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die 'sessions do not wait';
$starter->query('SELECT pg_advisory_unlock(1)');
my %answers = map { $_->result =~ s/^\n//r => 1 } @sessions;
is(scalar keys %answers, 1, 'eight sessions that need an image at once get the same numbers');
my ($answer) = keys %answers;
like($answer, qr/^[0-9a-f]{32}$/, 'which are numbers');
is(written(), 1, 'and one of them has written the image');
is(files(), "$sum{a}.fp32-1 lock", 'one file');

# Who waits for another's writing can be cancelled.
{
	require Fcntl;
	open my $lock, '+<', "$images/lock" or die $!;
	flock $lock, Fcntl::LOCK_EX() or die $!;
	my $session = Session->new($node, 'postgres');
	$session->query("SET statement_timeout = '300ms'");
	$session->query("SELECT bert_embed('a ghost', 'b')");
	is($session->sqlstate, '57014', 'statement_timeout ends the wait for another writer');
	my $pid = $session->pid;
	$session->query('SET statement_timeout = 0');
	$session->send("SELECT cardinality(bert_embed('a ghost', 'b'))");
	$node->poll_query_until('postgres', "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $pid") or die 'does not wait';
	close $lock;
	is($session->result, '128', 'and when the writer is gone the waiting one goes on');
	$session->close;
}
is(written(), 1, 'with an image of its own');

# Another database with the same model shares the file.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION moviebert');
$node->safe_psql('other', "SELECT bert_load_model('called differently', '$dir/a.safetensors')");
is($node->safe_psql('other', "SELECT md5(bert_embed('a ghost loves the robot', 'called differently')::text)"), $answer, 'another database gives the same');
is(written(), 0, 'from the same image');

# ---- Parallel workers ---------------------------------------------------------------------------------------------
$node->safe_psql('postgres', q{
	CREATE TABLE texts AS SELECT i AS id, 'a ghost loves the robot of night w' || (i % 1000) AS body FROM generate_series(1, 400) i;
	ALTER TABLE texts SET (parallel_workers = 4);
	ANALYZE texts;});
my $parallel = '-c max_parallel_workers_per_gather=4 -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0';
my $all      = q{SELECT md5(string_agg(v, ' ' ORDER BY id)) FROM (SELECT id, bert_embed(body, 'a')::text AS v FROM texts OFFSET 0) t};
my $serial   = Session->new($node, 'postgres', options => '-c max_parallel_workers_per_gather=0');
my $expected = $serial->query($all);
for my $leader ('on', 'off')
{
	unlink "$images/$sum{a}.fp32-1" or die $!;
	my $session = Session->new($node, 'postgres', options => "$parallel -c parallel_leader_participation=$leader");
	my $plan = $session->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $all");
	my ($launched) = $plan =~ /Workers Launched: (\d)/;
	ok(($launched // 0) >= 2, "leader $leader: two workers or more, and no image yet") or diag($plan);
	is(written(), 1, "leader $leader: one of them has written it");
	is($session->query($all), $expected, "leader $leader: workers give bit by bit what a lone backend gives");
	$session->close;
}
$serial->close;

# ---- What others change -------------------------------------------------------------------------------------------
my ($one, $other) = @sessions;
$other->query("SELECT bert_default_model('a')");
my $default = "SELECT md5(bert_embed('a ghost loves the robot')::text)";
is($one->query($default), $answer, 'the default');
my $answer_b = $one->query("SELECT md5(bert_embed('a ghost loves the robot', 'b')::text)");
isnt($answer_b, $answer, 'the other model gives other numbers');
$other->query("SELECT bert_default_model('b')");
is($one->query($default), $answer_b, 'a default set in another session is seen at once');
$one->query('BEGIN');
is($one->query($default), $answer_b, 'in a transaction');
$other->query("SELECT bert_default_model('a')");
is($one->query($default), $answer, 'also in the middle of a transaction');
$one->query('COMMIT');
$one->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
$one->query('SELECT count(*) FROM texts');
$other->query("SELECT bert_default_model('b')");
is($one->query($default), $answer_b, 'and, as with the system catalogs, under REPEATABLE READ');
$one->query('COMMIT');
$other->query('BEGIN');
$other->query("SELECT bert_default_model('a')");
is($one->query($default), $answer_b, 'but not before it is committed');
is($other->query($default), $answer, 'except by whoever did it');
$other->query('ROLLBACK');
is($other->query($default), $answer_b, 'and not after a rollback');
is($one->query($default), $answer_b, 'by nobody');
$other->query('BEGIN');
$other->query('SAVEPOINT s');
$other->query("UPDATE bert_default SET model = ''");
$other->query($default);
is($other->sqlstate, '42704', 'a change by hand counts as well');
$other->query('ROLLBACK TO s');
is($other->query($default), $answer_b, 'and so does rolling back to a savepoint');
$other->query('COMMIT');

# Prepared, with the model looked up in one execution and again in the next.
$one->query("PREPARE p AS $default");
is($one->query('EXECUTE p'), $answer_b, 'a prepared statement');
$other->query("SELECT bert_default_model('a')");
is($one->query('EXECUTE p'), $answer, 'follows');

# ---- Dropping a model in use --------------------------------------------------------------------------------------
# A query without end; a sequence tells others how far it has come.
$node->safe_psql('postgres', 'CREATE SEQUENCE progress');
my $busy = $one->pid;
$one->send(q{SELECT count(bert_embed(body, 'b')), count(nextval('progress')) FROM texts, generate_series(1, 1000000)});
$node->poll_query_until('postgres', 'SELECT last_value > 100 FROM progress') or die 'not busy';
$other->query("SELECT bert_drop_model('b')");
is($other->sqlstate, '', 'a model that another session uses can be dropped');
ok(!-e "$images/$sum{b}.fp32-1", 'its image file is gone');
my $reached = $other->query('SELECT last_value FROM progress');
ok($node->poll_query_until('postgres', "SELECT last_value > $reached + 100 FROM progress"), 'the running query goes on');
kill 'INT', $busy;
$one->result;
is($one->sqlstate, '57014', 'until it is cancelled');
$one->query("SELECT bert_embed('a ghost', 'b')");
is($one->sqlstate, '42704', 'the next one says that the model does not exist');
like($one->error, qr/model "b" does not exist\nHINT:  The view bert_models lists/, 'with a hint');
$other->query("SELECT bert_load_model('b', '$dir/b.safetensors')");
is($one->query("SELECT md5(bert_embed('a ghost loves the robot', 'b')::text)"), $answer_b, 'it can come back under the same name');

# A drop that is rolled back.
$other->query('BEGIN');
$other->query("SELECT bert_drop_model('b')");
$other->query("SELECT bert_embed('a ghost', 'b')");
is($other->sqlstate, '42704', 'who drops it does not see it');
$other->query('ROLLBACK');
is($other->query("SELECT md5(bert_embed('a ghost loves the robot', 'b')::text)"), $answer_b, 'after the rollback it is there');
ok(-e "$images/$sum{b}.fp32-1", 'with its image');

# The mapping goes with the model.
my $maps = sub {
	my $pid = shift->pid;
	open my $in, '<', "/proc/$pid/maps" or return '';
	return join ' ', map { m{/moviebert/(\w{4})} ? $1 : () } <$in>;
};
SKIP:
{
	skip 'no /proc', 2 unless -r "/proc/$$/maps";
	my $short = substr($sum{b}, 0, 4);
	like($maps->($one), qr/$short/, 'a session that has used the model maps it');
	$other->query("SELECT bert_drop_model('b')");
	$one->query('SELECT count(*) FROM texts');
	$one->query('SELECT count(*) FROM texts');
	unlike($maps->($one), qr/$short/, 'and lets go of it after it was dropped');
}

# ---- The extension itself goes and comes --------------------------------------------------------------------------
$other->query('DROP EXTENSION moviebert');
$one->query("SELECT bert_embed('a ghost')");
is($one->sqlstate, '42883', 'without the extension there is no function');
$other->query("CREATE SCHEMA elsewhere; CREATE EXTENSION moviebert SCHEMA elsewhere");
$other->query("SELECT elsewhere.bert_load_model('new', '$dir/b.safetensors')");
is($one->query("SELECT md5(elsewhere.bert_embed('a ghost loves the robot', 'new')::text)"), $answer_b, 'and with it again, elsewhere, it works in the same session');
$one->query("SELECT elsewhere.bert_embed('a ghost', 'a')");
is($one->sqlstate, '42704', 'which has forgotten the models of before');

$_->close for @sessions, $starter;
$node->stop;
done_testing();
