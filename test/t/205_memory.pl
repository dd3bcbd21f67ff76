# Fifty connections that use a model of MiniLM's size keep its weights in memory once, and little beside.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

plan skip_all => 'no /proc/PID/smaps here' unless -r "/proc/$$/smaps" && -r "/proc/$$/smaps_rollup";
my $connections = 50;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $sum = ModelFile::write_file("$dir/m.safetensors",
	ModelFile::bytes(hidden => 384, intermediate => 1536, layers => 6, positions => 512, max_length => 256, vocab => 30522));

ModelFile::write_file("$dir/wide.safetensors",
	ModelFile::bytes(hidden => 768, intermediate => 3072, layers => 1, positions => 512, max_length => 512, vocab => 1000));

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 60\nshared_buffers = 32MB\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$node->safe_psql('postgres', "SELECT bert_load_model('m', '$dir/m.safetensors')");
# 256 tokens: 254 words, [CLS] and [SEP].
my $embed = "SELECT cardinality(bert_embed(repeat('a ghost loves the robot of ', 42) || 'night rain', 'm'))";
is($node->safe_psql('postgres', "SELECT bert_token_count(repeat('a ghost loves the robot of ', 42) || 'night rain', 'm')"), '256', 'a text of 256 tokens');
my $image = -s $node->data_dir . "/moviebert/$sum.fp32-1";

# Bytes of the fields of a process, all mappings together.
sub rollup
{
	my ($pid, @fields) = @_;
	my $total = 0;
	for my $line (split /\n/, slurp_file("/proc/$pid/smaps_rollup"))
	{
		for my $field (@fields) { $total += 1024 * $1 if $line =~ /^$field:\s+(\d+) kB/ }
	}
	return $total;
}

# Bytes of a field in the mappings of the image.
sub in_image
{
	my ($pid, $field) = @_;
	my ($inside, $total) = (0, 0);
	for my $line (split /\n/, slurp_file("/proc/$pid/smaps"))
	{
		$inside = $line =~ m{/moviebert/$sum} if $line =~ /^[0-9a-f]+-[0-9a-f]+ /;
		$total += 1024 * $1 if $inside && $line =~ /^$field:\s+(\d+) kB/;
	}
	return $total;
}

my $idle = Session->new($node, 'postgres');
my $idle_pid = $idle->pid;
my @sessions = map { Session->new($node, 'postgres') } 1 .. $connections;
my @pids     = map { $_->pid } @sessions;
is(join(' ', grep { $_ ne '384' } map { $_->query($embed) } @sessions), '', "$connections connections have used the model");

my ($pss, $rss, $worst, $swap) = (0, 0, 0, 0);
my $idle_private = rollup($idle_pid, 'Private_Clean', 'Private_Dirty');
for my $pid (@pids)
{
	$pss += in_image($pid, 'Pss');
	$rss += in_image($pid, 'Rss');
	my $private = rollup($pid, 'Private_Clean', 'Private_Dirty') - $idle_private;
	$worst = $private if $private > $worst;
	$swap += in_image($pid, 'Anonymous');
}
my $mb = sub { sprintf '%.1f MB', shift() / 1048576 };
diag('image ', $mb->($image), '; Rss of its mappings ', $mb->($rss), ', Pss ', $mb->($pss), '; private beyond an idle backend at most ', $mb->($worst));
cmp_ok($rss, '>=', $connections * 0.4 * $image, 'all of them have the weights in memory');
cmp_ok($pss, '<=', $image * 1.01, 'which are there once');
is($swap, 0, 'with no private copy of a page');
cmp_ok($worst, '<=', 10 * 1024 * 1024, 'a backend has at most 10 MB of its own beyond an idle one');

# What a longer text takes, and a model of BERT base's width, is given back with the transaction, every time.  Of the image
# that only one session maps, and of shared buffers that only it has touched, /proc says private; anonymous they are not.
$node->safe_psql('postgres', "SELECT bert_load_model('wide', '$dir/wide.safetensors')");
for my $case ([ 'a text of 5,000 tokens', "repeat('ghost ', 5000), 'm'" ], [ 'a window of 512 tokens in BERT base', "repeat('ghost ', 510), 'wide'" ])
{
	my ($what, $arguments) = @$case;
	for my $time (1 .. 3)
	{
		$sessions[0]->query("SELECT bert_embed($arguments)");
		my $own = rollup($pids[0], 'Anonymous') - rollup($idle_pid, 'Anonymous');
		diag("after $what: ", $mb->($own));
		cmp_ok($own, '<=', 10 * 1024 * 1024, "$what: no more after it, time $time");
	}
}

$_->close for @sessions, $idle;
$node->stop;
done_testing();
