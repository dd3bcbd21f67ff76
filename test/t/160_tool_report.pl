# report: the page of a run, as training leaves it and made again; what is told of folders that are none.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Copy qw(copy);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TinyCheckpoint;
use Tool;

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = PostgreSQL::Test::Cluster->new('tool_report');
$node->init;
$node->start;
my @where = ('-d', $node->connstr('postgres'));
$node->safe_psql('postgres',
	q{CREATE EXTENSION moviebert;
	CREATE TABLE movies AS SELECT 'the ghost of ' || (ARRAY['a heist', 'noir', 'a castle'])[1 + i % 3] || ' number ' || i AS plot
	  FROM generate_series(1, 200) i});

sub slurp { return PostgreSQL::Test::Utils::slurp_file(shift) }

# What pretrain leaves.
TinyCheckpoint::spew("$dir/own.txt",
	join("\n", qw([PAD] [UNK] [CLS] [SEP] [MASK] a the of ghost heist noir castle number), 0 .. 9, map { "##$_" } 0 .. 9) . "\n");
TinyCheckpoint::spew("$dir/general.txt",
	join("\n", qw([PAD] [UNK] [CLS] [SEP] [MASK] the of castle number parliament), 'a' .. 'z', map { "##$_" } 'a' .. 'z') . "\n");
my $query   = q{SELECT plot FROM movies WHERE plot <> '<b>"&'};
my @pretrain = ('pretrain', @where, '-q', $query, '--vocab', "$dir/own.txt", '--config', '1,32,2', '--length', 16,
	'--batch-tokens', 128, '--steps', 5, '--validation', '0.1', '-o', "$dir/own.safetensors");
my ($code, $out, $err) = tool(@pretrain, '--compare', "$dir/absent.txt");
is($code, 1, 'pretrain --compare with a file that is not there');
like($err, qr{could not open ".*absent\.txt"}, 'message');
ok(!-e "$dir/own.safetensors.run", 'nothing was begun');
($code, $out, $err) = tool(@pretrain, '--compare', "$dir/general.txt");
is($code, 0, 'pretrain --compare') or diag($err);
my $vocabulary = decode_json(slurp("$dir/own.safetensors.run/manifest.json"))->{vocabulary};
is_deeply([ sort map { $_->{token} } @{ $vocabulary->{added} } ], [qw(ghost heist noir)], 'words that the run has of its own');
cmp_ok($vocabulary->{added}[0]{uses}, '>', 100, 'and how often the texts need them');
is_deeply([ map { $_->{token} } @{ $vocabulary->{missing} } ], ['parliament'], 'a word that it lacks');
my $page = slurp("$dir/own.safetensors.run/report.html");
like($page, qr{<h1>own\.safetensors: masked language modelling</h1>}, 'the page says what was trained');
like($page, qr{>Finished<}, 'that it is done');
like($page, qr{<pre>SELECT plot FROM movies WHERE plot &lt;&gt; &#39;&lt;b&gt;&quot;&amp;&#39;</pre>}, 'its query, escaped');
like($page, qr{<bdi>heist</bdi><small>\d+</small>}, 'words of its own');
like($page, qr{frequencies of tokens alone}, 'the loss that frequencies alone give');
unlike($page, qr{<script|\ssrc=|\shref=}, 'it loads and runs nothing');

# Made again.
unlink "$dir/own.safetensors.run/report.html";
($code, $out) = tool('report', "$dir/own.safetensors.run");
is($code, 0, 'report');
like($out, qr{^Wrote report\.html in "}, 'says what it wrote');
is(slurp("$dir/own.safetensors.run/report.html"), $page, 'the same page');
($code, $out) = tool('report', "$dir/own.safetensors.run/", '-o', "$dir/page.html");
is($code, 0, 'report -o');
is(slurp("$dir/page.html"), $page, 'the same page elsewhere');

# Of a run that was cut off.
mkdir "$dir/cut.run";
copy("$dir/own.safetensors.run/manifest.json", "$dir/cut.run");
my @lines = split /^/, slurp("$dir/own.safetensors.run/metrics.jsonl");
my ($first) = grep { /"type":"step"/ } @lines;
TinyCheckpoint::spew("$dir/cut.run/metrics.jsonl", $first . '{"type":"st');
($code, $out, $err) = tool('report', "$dir/cut.run");
is($code, 0, 'report of a run that was cut off') or diag($err);
like(slurp("$dir/cut.run/report.html"), qr{>Not finished: the last line is of step 1<}, 'says so');

# Refusals.
TinyCheckpoint::spew("$dir/cut.run/metrics.jsonl", "$first\{\"type\":\"st\n$first");
($code, $out, $err) = tool('report', "$dir/cut.run");
is($code, 1, 'a damaged line');
like($err, qr{error: line 2 of ".*cut\.run/metrics\.jsonl" is not a JSON object\nDETAIL:  Column \d+: }, 'message');
like(slurp("$dir/cut.run/report.html"), qr{>Not finished}, 'the page before is still there');
for my $case (
	[ [ 'report' ], 2, qr{missing argument: RUN_FOLDER}, 'no folder' ],
	[ [ 'report', $dir ], 1, qr{is not the folder of a training run\nDETAIL:  It holds neither manifest\.json nor}, 'another folder' ],
	[ [ 'report', "$dir/nothing" ], 1, qr{is not the folder of a training run}, 'no such folder' ],
	[ [ 'report', "$dir/own.safetensors.run", '-o', "$dir/nothing/x.html" ], 1, qr{could not create ".*/nothing/x\.html"}, 'nowhere' ],
	[ [ 'report', "$dir/own.safetensors.run", '-o', $dir ], 1, qr{could not create ".*"}, 'onto a folder' ],)
{
	($code, $out, $err) = tool(@{ $case->[0] });
	is($code, $case->[1], "$case->[3]: exit code");
	like($err, $case->[2], "$case->[3]: message");
}

done_testing();
