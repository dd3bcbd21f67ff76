# CREATE EXTENSION where the file of the model that ships is not there, is another, or cannot be read.
#
# The file is the installation's own, which a test leaves alone: a copy of the server's program, with links to all else, takes
# its share folder from where it lies itself.  It runs in single-user mode.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Basename;
use File::Copy;
use File::Path qw(make_path);
use IPC::Run;
use ModelFile;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = PostgreSQL::Test::Utils::tempdir();
my %path = map { chomp(my $p = qx($ENV{PG_CONFIG} --$_)); $_ => $p } qw(bindir pkglibdir sharedir);
make_path("$root$path{bindir}", "$root$path{sharedir}/extension", dirname("$root$path{pkglibdir}"));
copy("$path{bindir}/postgres", "$root$path{bindir}/postgres") or die "postgres: $!";
chmod 0755, "$root$path{bindir}/postgres";
symlink $path{pkglibdir}, "$root$path{pkglibdir}" or die "$path{pkglibdir}: $!";
for my $entry (glob("$path{sharedir}/*"), glob("$path{sharedir}/extension/{moviebert,plpgsql}*"))
{
	symlink $entry, "$root$entry" unless -e "$root$entry" || $entry eq ModelFile::shipped();
}
my $file = $root . ModelFile::shipped();

my $node = PostgreSQL::Test::Cluster->new('single');
$node->init;

# What the server says to statements.
sub single
{
	my $sql = join '', map { "$_\n" } @_;
	my $said = '';
	IPC::Run::run([ "$root$path{bindir}/postgres", '--single', '-F', '-D', $node->data_dir, 'postgres' ], '<', \$sql, '>&', \$said)
	  or diag($said);
	return $said;
}

# With no file all but the model is there: a package may leave it out, and a dump can be restored.
my $said = single('CREATE EXTENSION moviebert', 'SELECT count(*) AS models FROM bert_model', 'SELECT bert_default_model() IS NULL AS none');
like($said, qr/WARNING:  the model that moviebert ships is not there\n.*DETAIL:  There is no file "\Q$file\E"\.\n.*HINT:  Install it/s, 'no file: a warning');
unlike($said, qr/ERROR/, 'no file: no error');
like($said, qr/models = "0".*none = "t"/s, 'no file: the extension, and no model');

copy(ModelFile::shipped(), $file) or die "$file: $!";
$said = single('SELECT bert_load_shipped_model() AS name', 'SELECT bert_default_model() AS is_default');
like($said, qr/name = "moviebert-1".*is_default = "moviebert-1"/s, 'the file that came later is installed, and the default');
single('DROP EXTENSION moviebert');

# Another file would be other weights under a name that stands for these.
ModelFile::write_file($file, ModelFile::bytes());
$said = single('CREATE EXTENSION moviebert', q{SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'moviebert'});
like($said, qr/ERROR:  file "\Q$file\E" is not the model that this version of moviebert ships\n.*DETAIL:  Its bytes have SHA-256 \w{16}\.\.\., but should have \w{16}\.\.\./s, 'another file: an error');
like($said, qr/extensions = "0"/, 'another file: no extension');

unlink $file;
mkdir $file;
$said = single('CREATE EXTENSION moviebert', q{SELECT count(*) AS extensions FROM pg_extension WHERE extname = 'moviebert'});
like($said, qr/ERROR:  "\Q$file\E" is not a file.*extensions = "0"/s, 'a folder: an error, and no extension');

done_testing();
