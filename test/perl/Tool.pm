# Tool.pm - runs the command-line tool that stands in the root of this tree.
package Tool;

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(dirname);
use IPC::Run;
use Test::More ();

our @EXPORT = qw(tool $tool);
our $tool   = dirname(__FILE__) . '/../../moviebert';

Test::More::plan(skip_all => 'no ./moviebert: run make first') unless -x $tool;

# The exit code, and what it wrote to stdout and stderr.
sub tool
{
	my @args = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $tool, @args ], '<', \undef, '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

1;
