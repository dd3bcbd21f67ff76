# The tool without a database: help, options, import, info, export, and what they say when something is wrong.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Temp qw(tempdir);
use IPC::Run;
use JSON::PP;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir = tempdir(CLEANUP => 1);

my ($code, $out, $err) = tool('--version');
is($code, 0, '--version leaves with 0');
like($out, qr/^moviebert \d+\.\d+\.\d+$/, '--version');

($code, $out) = tool('--help');
is($code, 0, '--help leaves with 0');
is_deeply([ tool('-h') ], [ 0, $out, '' ], '-h says the same');
my @commands = qw(import info install export vocab pretrain finetune evaluate compare report);
for my $command (@commands)
{
	like($out, qr/^  $command\s/m, "--help lists $command");
	($code, my $help) = tool($command, '--help');
	is($code, 0, "$command --help leaves with 0");
	like($help, qr/Usage:\n  moviebert $command/, "$command --help");
	like($help, qr/Exit codes:/, "$command --help tells the exit codes");
	my @long = grep { length > 120 } split /\n/, $help;
	is(scalar @long, 0, "$command --help fits 120 columns") or diag(@long);
}

# What is printed onto a full disk is not taken for printed; a reader who goes is no failure.
SKIP:
{
	skip 'no /dev/full', 3 unless -c '/dev/full';
	$err = '';
	IPC::Run::run([ $tool, '--help' ], '<', \undef, '>', '/dev/full', '2>', \$err);
	is($? >> 8, 1, 'a full disk for stdout: exit code 1');
	like($err, qr/^moviebert: error: could not write to standard output: No space left on device$/, 'a full disk for stdout: message');
	is(system('bash', '-c', "set -o pipefail; '$tool' finetune --help | true"), 0, 'a pipe that nobody reads');
}

# Wrong usage: exit code 2, a message, a hint.
my @wrong = (
	[ [], qr/Usage/, 'no command' ],
	[ ['instal'], qr/unknown command "instal"\n.*HINT:  Perhaps you meant "moviebert install"/s, 'mistyped command' ],
	[ ['banana'], qr/unknown command "banana"\nHINT:  Try "moviebert --help"/, 'unknown command' ],
	[ [ 'import', 'x', '--poolign=cls' ], qr/unknown option "--poolign".*Perhaps you meant "--pooling"/s, 'mistyped option' ],
	[ [ 'import', 'x', '-z' ], qr/unknown option "-z"/, 'unknown short option' ],
	[ [ 'import', 'x', '-o' ], qr/option "--output" needs a value/, 'missing value' ],
	[ [ 'import', 'x', '--pooling=max', '-o', 'y' ], qr/invalid value "max".*mean\|cls\|pooler/s, 'wrong choice' ],
	[ [ 'import', 'x', '--max-length=2', '-o', 'y' ], qr/invalid value "2".*from 3 to/s, 'number too small' ],
	[ [ 'import', 'x', '--max-length=12a', '-o', 'y' ], qr/invalid value "12a"/, 'not a number' ],
	[ ['import'], qr/missing argument: FOLDER/, 'missing operand' ],
	[ [ 'import', 'x', 'y' ], qr/unexpected argument "y"/, 'too many operands' ],
	[ [ 'import', 'x' ], qr/Add -o FILE/, 'import without -o' ],
	[ [ 'info', 'x', '--json=yes' ], qr/takes no value/, 'flag with a value' ],
	[ [ 'install', 'x' ], qr/Add --name=NAME/, 'install without a name' ],
	[ [ 'export', '-o', 'x' ], qr/needs one model/, 'export of nothing' ],
	[ [ 'finetune', '-m', 'x', '-o', 'y' ], qr/needs a query/, 'finetune without a query' ],
	[ [ 'finetune', '-q', 'SELECT', '-o', 'y' ], qr/needs one model/, 'finetune without a model' ],
	[ [ 'finetune', '-m', 'x', '-q', 'SELECT' ], qr/Add -o FILE/, 'finetune without -o' ],
	[   [ 'finetune', '-m', 'x', '-q', 'SELECT', '-o', 'y', '--validation=0' ],
		qr/needs a validation part/, 'finetune without validation' ],
	[   [ 'finetune', '-m', 'x', '-q', 'SELECT', '-o', 'y', '--validation=0.6', '--test=0.6' ],
		qr/no rows would be left/, 'parts that leave nothing' ],
	[ [ 'finetune', '-m', 'x', '-q', 'SELECT', '-o', 'y', '--freeze=some' ], qr/invalid value "some"/, 'freeze' ],
	[ [ 'evaluate', '-m', 'x' ], qr/needs a query/, 'evaluate without a query' ],);
for my $case (@wrong)
{
	($code, $out, $err) = tool(@{ $case->[0] });
	is($code, 2, "$case->[2]: exit code 2");
	like("$out$err", $case->[1], "$case->[2]: message");
}

# Import.
my $folder = TinyCheckpoint::write_checkpoint("$dir/tiny", words => [ qw(a ghost loves robot .), '##s' ]);
my $model  = "$dir/tiny.safetensors";
($code, $out, $err) = tool('import', $folder, '-o', $model);
is($code, 0, 'import') or diag($err);
like($out, qr/1 layer, hidden size 32, 4 heads/, 'import tells the sizes');
like($out, qr/read whole in windows of 64 tokens/, 'import tells what becomes of long texts');
ok(-s $model, 'import writes the file');

($code, $out) = tool('import', $folder, '-o', "$dir/cut.safetensors", '--long-text=truncate', '--max-length=16', '--pooling=cls');
is($code, 0, 'import with options');
like($out, qr/cls pooling/, 'import --pooling');
like($out, qr/truncated to 16 tokens/, 'import --long-text --max-length');

($code, $out, $err) = tool('import', "$dir/absent", '-o', "$dir/x.safetensors");
is($code, 1, 'import of an absent folder fails');
like($err, qr/^moviebert: error: /, 'and says so');
ok(!-e "$dir/x.safetensors", 'and writes nothing');

# Info.
($code, $out) = tool('info', $model);
is($code, 0, 'info');
like($out, qr/sha256\s+[0-9a-f]{64}/, 'info tells the SHA-256');
($code, $out) = tool('info', '--json', $model);
my $info = decode_json($out);
is($info->{config}{hidden_size}, 32,       'info --json: hidden size');
is($info->{pooling}{mode},       'mean',   'info --json: pooling');
is($info->{size},                -s $model, 'info --json: size');
is_deeply($info->{tags}, [], 'info --json: no tags');
my ($sum) = split ' ', `sha256sum $model`;
is($info->{sha256}, $sum, 'info --json: the SHA-256 of the file');

for my $case (
	[ "$dir/absent.safetensors", qr/could not open.*DETAIL:  The system says: No such file/s, 'absent file' ],
	[ $dir, qr/is not a file.*moviebert import/s, 'a folder' ],
	[ "$folder/vocab.txt", qr/moviebert: error: .*safetensors.*HINT:  The file is ".*vocab\.txt": give a model file/s, 'a text file' ])
{
	($code, $out, $err) = tool('info', $case->[0]);
	is($code, 1, "info of $case->[2] fails");
	like($err, $case->[1], "info of $case->[2] says why");
}
TinyCheckpoint::spew("$dir/empty", '');
($code, $out, $err) = tool('info', "$dir/empty");
is($code, 1, 'info of an empty file fails');
like($err, qr/is empty/, 'info of an empty file says why');

# Export, and import again: the same weights.
($code, $out, $err) = tool('export', $model, '-o', "$dir/out");
is($code, 0, 'export') or diag($err);
ok(-s "$dir/out/$_", "export writes $_") for qw(config.json model.safetensors vocab.txt);
($code, $out, $err) = tool('export', $model, '-o', "$dir/out");
is($code, 1, 'export does not write into a folder that is in use');
($code) = tool('import', "$dir/out", '-o', "$dir/again.safetensors");
is($code, 0, 'what was exported can be imported');
($code, $out) = tool('info', '--json', "$dir/again.safetensors");
my $again = decode_json($out);
is($again->{parameters}, $info->{parameters}, 'with as many parameters');
is_deeply($again->{pooling}, $info->{pooling}, 'and the same pooling');

# Nobody there.
($code, $out, $err) = tool('install', $model, '--name=x', '-h', $dir, '-p', '1', '-w');
is($code, 3, 'no server: exit code 3');
like($err, qr/HINT:  Give -h, -p, -U and -d/, 'no server: hint');

done_testing();
