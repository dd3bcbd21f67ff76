# kill -9 and immediate shutdown at several moments of loading a model and of writing its image: the next call works, no
# part of a model is left, and no temporary file.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes qw(usleep);

my $dir = PostgreSQL::Test::Utils::tempdir();
# Large enough that there is time to kill.
my $sum = ModelFile::write_file("$dir/big.safetensors", ModelFile::bytes(hidden => 512, intermediate => 2048, layers => 8, vocab => 8000));

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->start;
# Without the model that ships: what is counted here is this test's own.
$node->safe_psql('postgres', "CREATE EXTENSION moviebert; SELECT bert_drop_model('moviebert-1')");
my $images = $node->data_dir . '/moviebert';
my $load   = "SELECT bert_load_model('big', '$dir/big.safetensors')";
my $embed  = "SELECT md5(bert_embed('a ghost loves the robot', 'big')::text)";

sub files { return join ' ', sort map { s/.*\///r } glob("$images/*") }
sub temporary { return grep { -e } glob("$images/pgsql_tmp*") }

# The server after a crash takes a while to be back.
sub wait_for_server { $node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back'; return }

# Waits until the condition holds; false if the session's statement ended before it did.
sub wait_until
{
	my ($session, $condition) = @_;
	for (1 .. 20000)
	{
		return 1 if $condition->();
		$session->{run}->pump_nb;
		return 0 if $session->{out} =~ /-of-$session->{n}\n/;
		usleep(1000);
	}
	return 0;
}

# What a model that was never there leaves: nothing.
my $rows = 'SELECT (SELECT count(*) FROM bert_model), (SELECT count(*) FROM bert_model_chunk)';

my $chunk_file = q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'bert_model_chunk'};
for my $megabytes (0, 1, 10, 25)
{
	my $session = Session->new($node, 'postgres');
	my $pid     = $session->pid;
	my $path    = $node->data_dir . '/' . $node->safe_psql('postgres', $chunk_file);
	my $start = -s $path;
	$session->send($load);
	my $caught = wait_until($session, sub { (-s $path) >= $start + $megabytes * 1024 * 1024 });
	kill 'KILL', $pid;
	$session->result;
	$session->close;
	wait_for_server();
	ok($caught && $session->is_dead, "killed while loading, after $megabytes MB of rows");
	is($node->safe_psql('postgres', $rows), '0|0', "killed while loading, after $megabytes MB: nothing is left");
}
is($node->safe_psql('postgres', $load), $sum, 'then loading works');

# Before the image is written, the rows are read into a temporary file of PostgreSQL's.
my $base = $node->data_dir . '/base/pgsql_tmp';
{
	my $session = Session->new($node, 'postgres');
	my $pid     = $session->pid;
	$session->send($embed);
	my $caught = wait_until($session, sub { grep { -s } glob("$base/*") });
	kill 'KILL', $pid;
	$session->result;
	$session->close;
	wait_for_server();
	ok($caught && $session->is_dead, 'killed while reading the rows');
	is(files(), 'lock', 'killed while reading the rows: no image');
	is_deeply([ glob("$base/*") ], [], 'and PostgreSQL has removed its temporary file');
}

# The size of the temporary file, 0 without one.
sub temporary_size { my ($file) = temporary(); return $file ? -s $file // 0 : 0 }

# Sends a signal to a call that is writing the image and has come to that many megabytes, of 116.  A call that was faster
# than the signal is sent again, without the image.  Returns the session and the megabytes that there were.
sub caught_writing
{
	my ($megabytes, $signal) = @_;
	for (1 .. 20)
	{
		my $session = Session->new($node, 'postgres');
		my $pid     = $session->pid;
		unlink "$images/$sum.fp32-1", temporary();
		$session->send($embed);
		my $caught = wait_until($session, sub { temporary() && temporary_size() >= $megabytes * 1024 * 1024 });
		my $size   = temporary_size();
		kill $signal, $pid;
		$session->result;
		return ($session, $size / 1024 / 1024) if $caught && ($session->is_dead || $session->sqlstate ne '');
		$session->close;
		wait_for_server();
	}
	die "no call could be caught after $megabytes MB";
}

for my $megabytes (0, 10, 40, 80)
{
	my ($session, $reached) = caught_writing($megabytes, 'KILL');
	$session->close;
	my $left = temporary_size() / 1024 / 1024;
	note(sprintf '%.1f MB seen, %.1f MB left', $reached, $left);
	ok($session->is_dead && $left >= $megabytes, "killed while writing the image, after $megabytes MB");
	ok(!-e "$images/$sum.fp32-1", "killed while writing the image, after $megabytes MB: none is there under its name");
	wait_for_server();
}
is(scalar(temporary()), 1, 'what the dead left is one temporary file');
my $answer = $node->safe_psql('postgres', $embed);
like($answer, qr/^[0-9a-f]{32}$/, 'and the next call works');
is(files(), "$sum.fp32-1 lock", 'and has removed it');

# The power goes: the server stops without a checkpoint while the image is being written.
unlink "$images/$sum.fp32-1";
{
	my $session = Session->new($node, 'postgres');
	$session->send($embed);
	ok(wait_until($session, sub { temporary() }), 'the image is being written');
	$node->stop('immediate');
	$session->result;
	$session->close;
	$node->start;
	is($node->safe_psql('postgres', $embed), $answer, 'after an immediate shutdown the next call gives the same');
	is(files(), "$sum.fp32-1 lock", 'and nothing else is left');
}

# Right after the load: commit, then stop without a checkpoint.  Rows are in the WAL.
$node->safe_psql('postgres', q{SELECT bert_drop_model('big')});
is(files(), 'lock', 'dropping the model has removed the image');
$node->safe_psql('postgres', $load);
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', $embed), $answer, 'a committed model survives a crash');

# A cancelled call leaves nothing either, and neither does a terminated one.
for my $signal (qw(cancel terminate))
{
	my ($session) = caught_writing(20, $signal eq 'cancel' ? 'INT' : 'TERM');
	is($session->sqlstate, $signal eq 'cancel' ? '57014' : '57P01', "$signal: the error is PostgreSQL's own");
	is(files(), 'lock', "$signal: no file is left");
	is($session->query($embed), $answer, 'cancel: the session goes on') if $signal eq 'cancel';
	$session->close;
}
is($node->safe_psql('postgres', $embed), $answer, 'and the next call works');

$node->stop;
done_testing();
