# A full disk while an image is written: a clear error, nothing left on the disk, and it works again when there is room.
# $MOVIEBERT_SMALL_DISK is an empty file system of 1 MB that the server's user owns.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

my $disk = $ENV{MOVIEBERT_SMALL_DISK};
plan skip_all => 'no small disk in $MOVIEBERT_SMALL_DISK (script/test mounts one when it runs as root)' unless $disk && -d $disk;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $large_sum = ModelFile::write_file("$dir/large.safetensors", ModelFile::bytes(hidden => 128, vocab => 4000));
my $small_sum = ModelFile::write_file("$dir/small.safetensors", ModelFile::bytes(hidden => 64, vocab => 1500));

my $node = PostgreSQL::Test::Cluster->new('full_disk');
$node->init;
my $images = $node->data_dir . '/moviebert';
symlink $disk, $images or die "symlink: $!";
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION moviebert');
$node->safe_psql('postgres', "SELECT bert_load_model('$_', '$dir/$_.safetensors')") for qw(large small);

sub files { return join ' ', sort map { s/.*\///r } glob("$disk/*") }

my $session = Session->new($node, 'postgres');
sub fails_for_room
{
	my ($name, $what) = @_;
	$session->query("SELECT bert_embed('a ghost', '$name')");
	is($session->sqlstate, '53100', "$what: SQLSTATE 53100");
	like($session->error, qr/could not write the model image: No space left on device\nHINT:  Make room/, "$what: message and hint");
	ok(!grep({ /pgsql_tmp/ || /\.fp32/ } files()), "$what: no file is left");
	return;
}

fails_for_room('large', 'an image larger than the disk');
fails_for_room('large', 'again in the same session');
$session->query("SELECT bert_embed('a ghost', 'small') IS NOT NULL");
is($session->sqlstate, '', 'a smaller image still fits');
is(files(), "$small_sum.fp32-1 lock", 'and is written');
$node->safe_psql('postgres', "SELECT bert_drop_model('small')");

# A session that maps the image keeps its room.
$session->close;
$session = Session->new($node, 'postgres');

# Somebody else has filled the disk, and makes room again.
$node->safe_psql('postgres', "SELECT bert_load_model('small', '$dir/small.safetensors')");
open my $filler, '>', "$disk/filler" or die $!;
$filler->autoflush(1);
while (syswrite($filler, 'x' x 4096)) { }
close $filler;
fails_for_room('small', 'a disk that is full already');
unlink "$disk/filler";
is($session->query("SELECT cardinality(bert_embed('a ghost', 'small'))"), '64', 'with room it works, in the same session');

# Model files are spooled where temporary files are kept, and that can be this disk.
{
	mkdir "$disk/space" or die "mkdir: $!";
	$node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");
	my $spooling = Session->new($node, 'postgres', options => '-c temp_tablespaces=small');
	$spooling->query("SELECT bert_load_model('other', '$dir/large.safetensors')");
	is($spooling->sqlstate, '53100', 'no room to load a file: SQLSTATE 53100');
	like($spooling->error, qr/could not write to temporary file .*: No space left on device\nHINT:  Loading a file of the server's needs room/, 'no room to load a file: message and hint');
	$spooling->query("SELECT bert_register_model('other', '$large_sum')");
	like($spooling->error, qr/No space left on device\nHINT:  Reading a model from its chunks needs room/, 'no room to read chunks: message and hint');
	is(join(' ', glob("$disk/space/*/*/*")), '', 'no room for a temporary file: none is left');
	$spooling->close;
	$node->safe_psql('postgres', 'DROP TABLESPACE small');
	rmdir "$disk/space" or die "rmdir: $!";
}

# A directory on a larger disk, as the hint says.
unlink $images or die "unlink: $!";
mkdir $images, 0700 or die "mkdir: $!";
is($session->query("SELECT cardinality(bert_embed('a ghost', 'large'))"), '128', 'with another directory the large one works');
is($session->query("SELECT cardinality(bert_embed('a ghost', 'small'))"), '64', 'and the small one is still mapped');

$session->close;
$node->stop;
unlink glob("$disk/*");
done_testing();
