# Images out of use go when another is written: those that nobody has mapped for 30 days, those of other layouts, and what
# the dead have left.  What is in use, and what is no image, stays.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $day = 86400;
my $dir = PostgreSQL::Test::Utils::tempdir();
my %sum;
$sum{$_} = ModelFile::write_file("$dir/$_.safetensors", ModelFile::bytes(seed => ord $_)) for qw(a b c);

my $node = PostgreSQL::Test::Cluster->new('sweep');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 2\n");
$node->start;
my $images = $node->data_dir . '/moviebert';
my $image  = "$images/$sum{a}.fp32-1";
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$node->safe_psql('postgres', "SELECT bert_load_model('$_', '$dir/$_.safetensors')") for qw(a b);

sub files { return [ sort map { s/.*\///r } glob("$images/*") ] }
sub age { my ($path, $seconds) = @_; my $time = time - $seconds; utime $time, $time, $path or die "$path: $!"; return }
sub embed { return $node->safe_psql('postgres', "SELECT cardinality(bert_embed('a ghost', '$_[0]'))") }

# ---- Use is noted, once a day -------------------------------------------------------------------------------------
is(embed('a'), '32', 'an image is written');
age($image, 0.5 * $day);
my $mtime = (stat $image)[9];
embed('a');
is((stat $image)[9], $mtime, 'a use on the day of the last leaves the time of the file');
age($image, 29 * $day);
embed('a');
cmp_ok(abs((stat $image)[9] - time), '<', 600, 'a use after that sets it');

# ---- Another is written -------------------------------------------------------------------------------------------
my ($unused, $old, $fresh) = map { $_ x 32 } qw(ab cd ef);
my %left = (
	"$unused.fp32-1"           => 31 * $day,
	"$old.fp32-0"              => 0,
	"$old.int8-1"              => 0,
	"$old.fp32-10"             => 0,
	"pgsql_tmp.$fresh.fp32-1"  => 0);
my %kept = (
	"$fresh.fp32-1"            => 29 * $day,
	"$fresh"                   => 90 * $day,
	"f$fresh.fp32-0"           => 90 * $day,
	'NOTES.txt'                => 90 * $day);
for my $name (sort keys %left, keys %kept)
{
	ModelFile::write_file("$images/$name", 'x');
	age("$images/$name", $left{$name} // $kept{$name});
}
age($image, 29 * $day);
my $before = files();
embed('a');
is_deeply(files(), $before, 'mapping an image removes nothing');
age($image, 29 * $day);
embed('b');
is_deeply(files(), [ sort 'lock', "$sum{a}.fp32-1", "$sum{b}.fp32-1", keys %kept ], 'writing one removes what is out of use, and nothing else');
unlink map { "$images/$_" } keys %kept;

# ---- What dropping does not remove --------------------------------------------------------------------------------
$node->safe_psql('postgres', "BEGIN; SELECT bert_drop_model('b'); PREPARE TRANSACTION 'drop'");
$node->safe_psql('postgres', "COMMIT PREPARED 'drop'");
is_deeply(files(), [ sort 'lock', "$sum{a}.fp32-1", "$sum{b}.fp32-1" ], 'a prepared drop leaves the image');
$node->safe_psql('postgres', 'CREATE DATABASE gone');
$node->safe_psql('gone', "CREATE EXTENSION moviebert; SELECT bert_load_model('c', '$dir/c.safetensors'); SELECT bert_embed('a ghost', 'c')");
$node->safe_psql('postgres', 'DROP DATABASE gone');
age("$images/$sum{$_}.fp32-1", 31 * $day) for qw(b c);
unlink $image;
embed('a');
is_deeply(files(), [ sort 'lock', "$sum{a}.fp32-1" ], 'after 30 days it goes, as does that of a dropped database');

# A session that has mapped one keeps it, however old the file is.
$node->safe_psql('postgres', "SELECT bert_load_model('b', '$dir/b.safetensors')");
my $session = Session->new($node, 'postgres');
my $md5     = "SELECT md5(bert_embed('a ghost', 'b')::text)";
my $answer  = $session->query($md5);
age("$images/$sum{b}.fp32-1", 31 * $day);
unlink $image;
embed('a');
ok(!-e "$images/$sum{b}.fp32-1", 'an old image goes also while a session maps it');
is($session->query($md5), $answer, 'which goes on using it');
is($node->safe_psql('postgres', $md5), $answer, 'and the next one writes it anew');
$session->close;

$node->stop;
done_testing();
