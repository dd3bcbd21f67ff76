# blocks.pl FILE - runs the fenced blocks of a Markdown file in order and reports each as a TAP test.
#
# ```sql blocks go to psql, ```sh blocks to bash; both stop at the first error.  ```py blocks go to the Python that
# README_PYTHON names, and are reported as skipped without it: the libraries that they show are no part of a test run.  A ```text block right after one is its
# expected output, in which "..." stands for anything and runs of white space are equal.  Other fences are not run.
#
# A comment <!-- test: ... --> on the line before a fence changes what happens:
#   skip REASON         not run, and reported as skipped
#   needs EXTENSION     skipped where the server does not have that extension
#   fails TEXT          must fail with TEXT in its output
#   setup COMMAND       a shell command that runs first: what the README's reader would already have
use strict;
use warnings;
use utf8;
use File::Temp qw(tempdir);

binmode STDOUT, ':encoding(UTF-8)';
open my $in, '<:encoding(UTF-8)', $ARGV[0] or die "$ARGV[0]: $!\n";
my @lines = <$in>;
close $in;

my $scratch = tempdir(CLEANUP => 1);
my (@blocks, $directive);
for (my $i = 0; $i < @lines; $i++)
{
	if ($lines[$i] =~ /^<!--\s*test:\s*(.*?)\s*-->$/)
	{
		$directive = $1;
	}
	elsif ($lines[$i] =~ /^\s*```(\w*)/)
	{
		my ($language, $line, $body) = ($1, $i + 1, '');
		for ($i++; $i < @lines && $lines[$i] !~ /^\s*```\s*$/; $i++)
		{
			$body .= $lines[$i];
		}
		die "line $line: a fence without end\n" if $i >= @lines;
		if ($language eq 'text' && @blocks && $blocks[-1]{end} >= $line - 3)
		{
			$blocks[-1]{expected} = $body;
		}
		elsif ($language =~ /^(sql|sh|py)$/)
		{
			push @blocks, { language => $language, line => $line, body => $body, end => $i + 1, directive => $directive // '' };
		}
		undef $directive;
	}
	elsif ($lines[$i] =~ /\S/)
	{
		undef $directive;
	}
}

printf "1..%d\n", scalar @blocks;
my ($number, $failures) = (0, 0);
for my $block (@blocks)
{
	my $first = (grep { /\S/ && !/^\s*(--|#)/ } split /\n/, $block->{body})[0] // '';
	my $name = "line $block->{line}: " . substr($first, 0, 60);
	$name =~ s/#/\\#/g;
	$number++;

	my ($verb, $argument) = $block->{directive} =~ /^(\w+)\s+(.*)$/ ? ($1, $2) : ('', '');
	if ($verb eq 'skip')
	{
		print "ok $number # SKIP $name: $argument\n";
		next;
	}
	if ($block->{language} eq 'py' && !$ENV{README_PYTHON})
	{
		print "ok $number # SKIP $name: README_PYTHON names no Python with the libraries\n";
		next;
	}
	if ($verb eq 'needs' && qx(psql -XAtc "SELECT 1 FROM pg_available_extensions WHERE name = '$argument'") !~ /1/)
	{
		print "ok $number # SKIP $name: the extension $argument is not here\n";
		next;
	}
	if ($verb eq 'setup' && system('bash', '-euo', 'pipefail', '-c', $argument) != 0)
	{
		print "# its setup failed: $argument\n";
	}

	my $file = "$scratch/block";
	open my $out, '>:encoding(UTF-8)', $file or die "$file: $!\n";
	print $out $block->{body};
	close $out;
	my %command = (
		sql => "psql -X -v ON_ERROR_STOP=1 -P pager=off -f '$file'",
		sh  => "bash -euo pipefail '$file'",
		py  => "\"\$README_PYTHON\" '$file'");
	my $command = $command{ $block->{language} };
	my $output = qx($command 2>&1 </dev/null);
	my $status = $? >> 8;
	utf8::decode($output);
	$output =~ s/\Q$file\E/README/g;

	my $problem;
	if ($verb eq 'fails')
	{
		$problem = "it should have failed with: $argument" if $status == 0 || index($output, $argument) < 0;
	}
	else
	{
		$problem = "exit status $status" if $status != 0;
	}
	if (!$problem && defined $block->{expected} && !matches($output, $block->{expected}))
	{
		$problem = "the output is not what the README shows";
	}
	if ($problem)
	{
		$failures++;
		print "not ok $number - $name\n# $problem\n";
		print "# $_\n" for split /\n/, $output;
	}
	else
	{
		print "ok $number - $name\n";
		if ($ENV{README_VERBOSE}) { print "# $_\n" for split /\n/, $output; }
	}
}
exit($failures ? 1 : 0);

# Whether the expected text occurs in the output.
sub matches
{
	my ($got, $expected) = @_;
	s/[ \t]+/ /g, s/ ?\n ?/\n/g, s/^\s+|\s+$//g, s/-{3,}/---/g for $got, $expected;
	my $pattern = join '.*?', map { quotemeta } split /\s*\.\.\.\s*/, $expected, -1;
	return $got =~ /$pattern/s;
}
