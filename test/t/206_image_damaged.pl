# An image file that is damaged, or no image at all, is found out before it is used, and written anew, once.
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
my $sum = ModelFile::write_file("$dir/m.safetensors", ModelFile::bytes(hidden => 64));

my $node = PostgreSQL::Test::Cluster->new('damaged');
$node->init;
$node->start;
# Without the model that ships: what is counted here is this test's own.
$node->safe_psql('postgres', "CREATE EXTENSION moviebert; SELECT bert_drop_model('moviebert-1')");
$node->safe_psql('postgres', "SELECT bert_load_model('m', '$dir/m.safetensors')");
my $embed = "SELECT md5(bert_embed('a ghost loves the robot', 'm')::text)";
my $answer = $node->safe_psql('postgres', $embed);
my $image = $node->data_dir . "/moviebert/$sum.fp32-1";
my $good  = slurp_file($image);
is(sprintf('%o', (stat $image)[2] & 07777), '600', 'the file is its owner\'s alone, as the others of the data directory');

sub flipped { my $at = shift; my $bytes = $good; substr($bytes, $at, 1) ^= "\x01"; return $bytes }

my @damages = (
	[ 'empty',                         '' ],
	[ 'one byte',                      'M' ],
	[ 'a cut header',                  substr($good, 0, 40) ],
	[ 'the header alone',              substr($good, 0, 256) ],
	[ 'half of it',                    substr($good, 0, int(length($good) / 2)) ],
	[ 'all but the last byte',         substr($good, 0, -1) ],
	[ 'a byte too many',               $good . "\0" ],
	[ 'twice',                         $good . $good ],
	[ 'zeros',                         "\0" x length $good ],
	[ 'another file',                  slurp_file("$dir/m.safetensors") ],
	[ 'a flipped bit of its name',     flipped(1) ],
	[ 'a flipped bit of the header',   flipped(70) ],
	[ 'the text of another program',   "#!/bin/sh\nexit 0\n" x 1000 ]);
for my $damage (@damages)
{
	my ($what, $bytes) = @$damage;
	my $log_at = -s $node->logfile;
	ModelFile::write_file($image, $bytes);
	my $session = Session->new($node, 'postgres');
	is($session->query($embed), $answer, "$what: the call gives the right numbers");
	$session->close;
	$session = Session->new($node, 'postgres');
	is($session->query($embed), $answer, "$what: and so does the next session");
	$session->close;
	my $log = slurp_file($node->logfile, $log_at);
	is(join(' ', $log =~ /LOG:  (?:\w{5}: )?(image .* is damaged|wrote the image)/g) =~ s/image \S+ of model "m"/image/r,
		'image is damaged wrote the image', "$what: the log tells it, once");
	ok(slurp_file($image) eq $good, "$what: the image is what it was");
}

# What cannot be mended is an error.
unlink $image;
mkdir $image or die $!;
my $session = Session->new($node, 'postgres');
$session->query($embed);
is($session->sqlstate, '42809', 'a directory in the place of the image is an error');
like($session->error, qr{"moviebert/$sum\.fp32-1" is not a file\nHINT:  The directory "moviebert" of the data directory}, 'which says so');
rmdir $image;
is($session->query($embed), $answer, 'and the session goes on when it is gone');

# Damaged rows, and no image to hide it.
my @rows = (
	[ 'a changed byte', q{UPDATE bert_model_chunk SET data = overlay(data PLACING '\xff'::bytea FROM 4000)}, qr/Their bytes have SHA-256/ ],
	[ 'a missing byte', q{UPDATE bert_model_chunk SET data = substr(data, 2)}, qr/Their bytes have SHA-256/ ],
	[ 'a chunk too many', q{INSERT INTO bert_model_chunk SELECT sha256, 1, '\x00' FROM bert_model_chunk}, qr/Chunk 0 is short/ ],
	[ 'a hole', q{UPDATE bert_model_chunk SET seq = 1}, qr/Chunk 0 is missing/ ],
	[ 'a chunk too long', q{UPDATE bert_model_chunk SET data = convert_to(repeat('x', 1048577), 'UTF8')}, qr/longer than 1048576 bytes/ ],
	[ 'no chunk', q{DELETE FROM bert_model_chunk}, qr/There are no chunks/ ]);
for my $damage (@rows)
{
	my ($what, $sql, $detail) = @$damage;
	unlink $image;
	$session->close;
	$session = Session->new($node, 'postgres');
	$session->query("BEGIN; $sql");
	$session->query($embed);
	is($session->sqlstate, 'XX001', "$what: SQLSTATE XX001");
	like($session->error, qr/model "m" is damaged in the database\nDETAIL:  .*$detail.*\nHINT:  Bring back its rows/, "$what: message");
	$session->query('ROLLBACK');
	is($session->query($embed), $answer, "$what: after a rollback all is well");
}

$session->close;
$node->stop;
done_testing();
