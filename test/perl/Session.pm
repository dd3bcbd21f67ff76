# Session.pm - a connection that stays open from statement to statement, for tests in which several are at work.
package Session;

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;

# Session->new($node, 'postgres', user => ..., options => '-c setting=value')
sub new
{
	my ($class, $node, $database, %option) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0 }, $class;
	local $ENV{PGOPTIONS} = $option{options} // '';
	my @user = defined $option{user} ? ('-U', $option{user}) : ();
	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($database), @user ],
		'<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default // 180));
	$self->query('\set VERBOSITY verbose');
	return $self;
}

# Sends statements without waiting.
sub send
{
	my ($self, $sql) = @_;
	$self->{n}++;
	$sql .= q(;) unless $sql =~ /^\\|;\s*$/;
	$self->{in} .= "$sql\n\\echo :LAST_ERROR_SQLSTATE-of-$self->{n}\n";
	$self->{run}->pump_nb;
	return;
}

# Waits for what was sent: its output, without the last newline.  What went wrong is in sqlstate and error afterwards.
sub result
{
	my $self = shift;
	my $mark = qr/^(\S+)-of-$self->{n}\n/m;
	my $dead = 0;
	until ($self->{out} =~ $mark)
	{
		last if $dead;
		$dead = !$self->{run}->pumpable;
		$self->{run}->pump unless $dead;
	}
	my $out = $self->{out};
	$self->{dead}  = $out !~ $mark;
	$self->{error} = $self->{err};
	$out =~ s/$mark.*//s;
	($self->{sqlstate}) = $self->{error} =~ /(?:ERROR|FATAL):  (\w{5}):/;
	$self->{out} = $self->{err} = '';
	chomp $out;
	return $out;
}

sub query
{
	my ($self, $sql) = @_;
	$self->send($sql);
	return $self->result;
}

sub sqlstate { return $_[0]->{sqlstate} // '' }
sub error    { return $_[0]->{error} }
sub is_dead  { return $_[0]->{dead} }
sub pid      { return $_[0]->query('SELECT pg_backend_pid()') }

sub close
{
	my $self = shift;
	$self->{in} .= "\\q\n";
	eval { $self->{run}->finish };
	return;
}

1;
