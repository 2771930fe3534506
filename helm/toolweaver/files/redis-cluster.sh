#!/bin/sh
# Keeps one Valkey node a member of its cluster. It runs beside every node and repeats the same steps, so the cluster
# forms at the first start and heals after pods came back with other addresses or without their volume.
#
# POD_NAME  ends with the node's number
# PEERS     host:port of every node, in the order of their numbers
# MASTERS   how many groups of slots there are; node N belongs to group N modulo MASTERS
set -u
: "${POD_NAME:?}" "${PEERS:?}" "${MASTERS:?}"
pause_seconds=${PAUSE_SECONDS:-5}

number=${POD_NAME##*-}
group=$((number % MASTERS))
first_slot=$((16384 * group / MASTERS))
last_slot=$((16384 * (group + 1) / MASTERS - 1))
own_port=$(echo "$PEERS" | tr ' ' '\n' | sed -n "$((number + 1))s/.*://p")
: "${own_port:?PEERS has no entry for $POD_NAME}"
unowned_before=no

say() { echo "$POD_NAME: $*"; }
ask() {
  host_asked=$1 port_asked=$2
  shift 2
  timeout 3 valkey-cli --raw -h "$host_asked" -p "$port_asked" "$@" 2>/dev/null
}
self() { ask 127.0.0.1 "$own_port" "$@"; }

# Introduces this node to every peer that it does not know at its present address. Sets `ids` to the ids of all that
# answer and `complete` to whether all answer and are known.
meet() {
  ids=$(self cluster myid) || return 1
  complete=yes
  position=-1
  for peer in $PEERS; do
    position=$((position + 1))
    [ "$position" = "$number" ] && continue
    host=${peer%:*} port=${peer##*:}
    id=$(ask "$host" "$port" cluster myid) && [ -n "$id" ] || { complete=no; continue; }
    ids="$ids $id"
    address=$(ask "$host" "$port" config get cluster-announce-ip | tail -n 1)
    [ -n "$address" ] || { complete=no; continue; }
    known=$(self cluster nodes | awk -v id="$id" -v at="$address:$port@" \
      '$1 == id && index($2, at) == 1 && $3 !~ /fail|handshake/ && $8 == "connected"')
    if [ -z "$known" ]; then
      complete=no
      say "meets $host at $address"
      self cluster meet "$address" "$port" >/dev/null
    fi
  done
}

# Prints id and flags of the node that owns the group's first slot.
owner() {
  self cluster nodes | awk -v slot="$first_slot" '{
    for (field = 9; field <= NF; field++) {
      ends = split($field, range, "-")
      if ($field !~ /^\[/ && range[1] + 0 <= slot && slot <= range[ends] + 0) print $1, $3
    }
  }'
}

# Forgets nodes that no pod is any more, unless a replica is about to take over their slots.
forget() {
  self cluster nodes | awk -v ids="$ids" '
    BEGIN { split(ids, list, " "); for (i in list) alive[list[i]] = 1 }
    { master_of[$4] = 1; if (!($1 in alive) && $3 ~ /fail/ && $3 !~ /fail\?/) gone[$1] = 1 }
    END { for (id in gone) if (!(id in master_of)) print id }
  ' | while read -r id; do
    say "forgets $id"
    self cluster forget "$id" >/dev/null
  done
}

# A node without slots takes those of its group if nobody has them, else it becomes a replica of who has.
take_place() {
  self cluster nodes | awk '$3 ~ /myself,master/ && NF == 8 { found = 1 } END { exit !found }' || return 0
  owner=$(owner)
  case $owner in
    "")
      # Twice in a row: the first time, word of the slots may still be on its way.
      if [ "$complete" = yes ] && [ "$number" -lt "$MASTERS" ]; then
        if [ "$unowned_before" = yes ]; then
          say "takes slots $first_slot to $last_slot"
          self cluster addslotsrange "$first_slot" "$last_slot" >/dev/null
        fi
        unowned_before=yes
        return 0
      fi
      ;;
    *fail* | *handshake*) ;; # A replica takes over first.
    *)
      say "becomes a replica of ${owner% *}"
      self cluster replicate "${owner% *}" >/dev/null
      ;;
  esac
  unowned_before=no
}

trap 'exit 0' TERM INT
while :; do
  if meet; then
    [ "$complete" = yes ] && forget
    take_place
  fi
  sleep "$pause_seconds" &
  wait $!
done
