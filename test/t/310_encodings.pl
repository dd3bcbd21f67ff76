# Databases in other encodings: texts go in and tags come out converted; what cannot be converted is an error.
use strict;
use warnings;
use utf8;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $models = "$FindBin::RealBin/../golden/sql";
my $node   = PostgreSQL::Test::Cluster->new('encodings');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$ENV{PGCLIENTENCODING} = 'UTF8';
for my $encoding (qw(UTF8 LATIN1 EUC_JP SQL_ASCII WIN1251))
{
	$node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql("\L$encoding", 'CREATE EXTENSION moviebert');
	$node->safe_psql("\L$encoding", "SELECT bert_load_model('plain', '$models/plain.safetensors')");
}
for my $database (qw(utf8 latin1 euc_jp sql_ascii))
{
	is($node->psql($database, "SELECT bert_load_model('tagger', '$models/tagger.safetensors')"), 0, "$database: a model with a tag of other than ASCII");
}
my ($out, $err);
$node->psql('win1251', "\\set VERBOSITY verbose\nSELECT bert_load_model('tagger', '$models/tagger.safetensors')", stderr => \$err);
like($err, qr/ERROR:  22P05: .*has no equivalent in encoding "WIN1251"/, 'win1251: a tag that it cannot hold');

my $bits = q{SELECT string_agg(encode(float4send(x), 'hex'), '' ORDER BY i) FROM unnest(bert_embed('%s', 'plain')) WITH ORDINALITY AS u (x, i)};
my $cafe = sprintf $bits, 'the café of the ghost';
my $plain_cafe = sprintf $bits, 'the cafe of the ghost';
my $expected = $node->safe_psql('utf8', $cafe);
is($node->safe_psql($_, $cafe), $expected, "$_: the same vector") for qw(latin1 euc_jp sql_ascii);
is($node->safe_psql('win1251', $plain_cafe), $node->safe_psql('utf8', $plain_cafe), 'win1251: the same vector');
is($node->safe_psql($_, "SELECT bert_token_count('Ж ж, жЖ', 'plain')"), '6', "$_: Cyrillic letters are letters") for qw(utf8 win1251 sql_ascii);

for my $database (qw(utf8 latin1 euc_jp sql_ascii))
{
	my $tags = $node->safe_psql($database, "SELECT bert_tags('ghost', 'tagger', top_k => 2)");
	utf8::decode($tags) unless utf8::is_utf8($tags);
	is($tags, '{"science fiction","café noir"}', "$database: tags");
	is($node->safe_psql($database, "SELECT count(*) FROM bert_tag_scores('ghost', 'tagger') WHERE tag = 'café noir'"), '1', "$database: scores");
}

# Bytes that are not UTF-8, where the server lets them in.
is($node->psql('sql_ascii', "\\set VERBOSITY verbose\nSELECT bert_embed(E'the caf\\351', 'plain')", stderr => \$err), 3, 'sql_ascii: bytes that are not UTF-8 fail');
like($err, qr/ERROR:  22021: .*UTF-8.*\b7\b/s, 'sql_ascii: SQLSTATE and the place');
$node->psql('sql_ascii', "\\set VERBOSITY verbose\nSELECT bert_embed(ARRAY['fine', E'the caf\\351'], 'plain')", stderr => \$err);
like($err, qr/ERROR:  22021: .*element 2 of the array/s, 'sql_ascii: and which element');
is($node->safe_psql('sql_ascii', "SELECT token FROM bert_tokenize('日本', 'plain') WHERE position = 2"), '[UNK]', 'sql_ascii: characters are characters');

$node->stop;
done_testing();
