# lib.sh - what the scripts of this folder share.  Sourced, not run; the caller has set -euo pipefail.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
LOGS=$ROOT/build/log
VERSION=$(sed -n 's/^  "version": "\(.*\)",/\1/p' "$ROOT/META.json")
JOBS=${JOBS:-$(nproc)}

# A machine without locales still has this one; PostgreSQL's settings of the caller are not ours.
export LANG=C.UTF-8 LC_ALL=C.UTF-8
unset PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGSERVICE PGOPTIONS PGDATA PGSSLMODE PGCLIENTENCODING PGTZ \
	MAKEFLAGS MFLAGS MAKELEVEL

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' PLAIN=''
fi

heading() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }
say() { printf '   %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	warn "$@"
	exit 1
}

# help_asked ARGUMENT... : --help among a script's arguments prints its head comment, and that is all.
help_asked() {
	local argument
	for argument in "$@"; do
		[[ $argument == --help || $argument == -h ]] || continue
		sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[-1]}"
		exit 0
	done
}

# logged NAME COMMAND... : output goes to build/log/NAME.log; on failure its end is shown, though the command be a
# function that exits.
logged() {
	local name=$1 status=0
	shift
	mkdir -p "$LOGS"
	("$@") >"$LOGS/$name.log" 2>&1 </dev/null || status=$?
	if ((status != 0)); then
		warn "failed (exit status $status): $*"
		tail -n 25 "$LOGS/$name.log" | sed 's/^/   | /' >&2
		warn "the whole log: $LOGS/$name.log"
	fi
	return "$status"
}

am_root() { [[ $(id -u) == 0 ]]; }

root_unasked() { am_root || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

# need_root COMMAND... : asks for sudo's password, or ends with what root is to run.  It stands before every as_root, so
# that the question never comes where input and output are a log's.
need_root() {
	if root_unasked; then return; fi
	command -v sudo >/dev/null || die "this needs root, and there is no sudo; as root, run: $*"
	say "sudo is to run: $*"
	sudo -v || die "this needs root, and sudo does not give it; as root, run: $*"
}
as_root() { if am_root; then "$@"; else sudo -- "$@"; fi; }

# ---- PostgreSQL ----------------------------------------------------------------------------------------------------

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# The PostgreSQL major version to build for: PG_MAJOR, else the newest with the server's headers here, else the newest
# server here, else the distribution's default (empty while apt knows of none).
pg_major() {
	local found
	if [[ -n ${PG_MAJOR:-} ]]; then
		echo "$PG_MAJOR"
		return
	fi
	for found in 'postgresql-server-dev-[0-9]*' 'postgresql-[0-9]*'; do
		found=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$found" 2>/dev/null |
			sed -n 's/^installed postgresql-\(server-dev-\)\{0,1\}\([0-9]\{1,\}\)$/\2/p' | sort -n | tail -n 1)
		if [[ -n $found ]]; then
			echo "$found"
			return
		fi
	done
	apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]\{1,\}\)$/\1/p' | head -n 1
}

# Sets PG_MAJOR, PG_CONFIG, PG_BIN for the build and the servers.
find_postgres() {
	PG_MAJOR=$(pg_major)
	PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/$PG_MAJOR/bin/pg_config}
	[[ -x $PG_CONFIG ]] || die "no pg_config at $PG_CONFIG; run script/bootstrap, or set PG_CONFIG"
	PG_BIN=$("$PG_CONFIG" --bindir)
	export PG_MAJOR PG_CONFIG PG_BIN
}

# PostgreSQL refuses to run as root: root lends the work to the user postgres (or MOVIEBERT_USER), others do it themselves.
server_user() { if am_root; then echo "${MOVIEBERT_USER:-postgres}"; else id -un; fi; }

# unprivileged COMMAND... : as the server's user, from a folder that it can read.
unprivileged() {
	if am_root; then
		local user home
		user=$(server_user)
		home=$(getent passwd "$user" | cut -d: -f6)
		(cd "${UNPRIVILEGED_CWD:-/}" && exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- \
			env HOME="${home:-/}" USER="$user" LOGNAME="$user" "$@")
	else
		(cd "${UNPRIVILEGED_CWD:-$PWD}" && exec "$@")
	fi
}

# A folder for servers that belongs to their user and to nobody else.  /var/tmp is open to all: never use what another
# user has put there.
private_folder() {
	local folder=$1 user
	user=$(server_user)
	if [[ -e $folder || -L $folder ]]; then
		[[ ! -L $folder && -d $folder && $(stat -c %U "$folder") == "$user" ]] ||
			die "$folder exists and is not a folder of the user $user"
	else
		mkdir -m 0700 "$folder"
		if am_root; then chown "$user:" "$folder"; fi
	fi
}

# new_cluster FOLDER SUPERUSER : a cluster in FOLDER/data that listens on FOLDER's own socket only, where root and the
# folder's owner may enter without a password.
new_cluster() {
	local folder=$1 superuser=$2
	unprivileged "$PG_BIN/initdb" -D "$folder/data" -U "$superuser" -E UTF8 --locale=C.UTF-8 --auth=trust --no-sync
	unprivileged tee -a "$folder/data/postgresql.conf" >/dev/null <<-CONF

		# written by moviebert's scripts
		listen_addresses = ''
		unix_socket_directories = '$folder'
		unix_socket_permissions = 0700
		port = $CLUSTER_PORT
		max_connections = 60
		shared_buffers = 128MB
		logging_collector = off
		timezone = 'UTC'
	CONF
}
CLUSTER_PORT=${CLUSTER_PORT:-5417}

cluster_running() { [[ -e $1/data/postmaster.pid ]] && unprivileged "$PG_BIN/pg_ctl" -D "$1/data" status >/dev/null 2>&1; }
start_cluster() {
	unprivileged "$PG_BIN/pg_ctl" -D "$1/data" -l "$1/server.log" -w -t 60 start >/dev/null </dev/null || {
		tail -n 20 "$1/server.log" >&2
		die "the server in $1 does not start"
	}
}
stop_cluster() { unprivileged "$PG_BIN/pg_ctl" -D "$1/data" -w -t 60 -m fast stop >/dev/null; }

# ---- building ------------------------------------------------------------------------------------------------------

build() { logged build make -C "$ROOT" -j"$JOBS" --no-print-directory PG_CONFIG="$PG_CONFIG" all; }

# True if what PostgreSQL would load is what was just built.
is_installed() {
	local libdir sharedir
	libdir=$("$PG_CONFIG" --pkglibdir) sharedir=$("$PG_CONFIG" --sharedir)/extension
	cmp -s "$ROOT/moviebert.so" "$libdir/moviebert.so" && cmp -s "$ROOT/moviebert.control" "$sharedir/moviebert.control" &&
		cmp -s "$ROOT/sql/moviebert--$VERSION.sql" "$sharedir/moviebert--$VERSION.sql" &&
		cmp -s "$ROOT/models/moviebert.safetensors" "$sharedir/moviebert.safetensors" &&
		cmp -s "$ROOT/moviebert" "$PG_BIN/moviebert"
}
install_built() {
	local install=(make -C "$ROOT" --no-print-directory PG_CONFIG="$PG_CONFIG" install)
	if is_installed; then return; fi
	need_root "${install[@]}"
	logged install as_root "${install[@]}"
}
