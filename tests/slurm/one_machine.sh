#!/bin/sh
# A real Slurm on this one machine, without systemd: munged, slurmctld and slurmd, as root, whose
# files are all in one folder.
#   one_machine.sh install       slurm-wlm and munge, where they are lacking (Debian, Ubuntu)
#   one_machine.sh start FOLDER  prints what to `eval`; the partition `urgent` preempts `main`
#   one_machine.sh stop FOLDER   with all its jobs
set -eu
export PATH="/usr/sbin:/sbin:$PATH"

install() {
  command -v slurmctld >/dev/null && command -v munged >/dev/null && return
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >/dev/null
}

configure() {
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
  cat > "$1/slurm.conf" <<END
ClusterName=one
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldPort=${KD_SLURM_PORT:-16917}
SlurmdPort=$((${KD_SLURM_PORT:-16917} + 1))
StateSaveLocation=$1/state
SlurmdParameters=config_overrides
SlurmdSpoolDir=$1/spool
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=localhost CPUs=2 RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=localhost MaxTime=INFINITE PriorityTier=2
END
}

start() {
  mkdir -p "$1/state" "$1/spool"
  socket=$(mktemp -d /tmp/munge.XXXXXX)/socket  # whose folders munge wants open to all
  chmod 755 "${socket%/*}"
  configure "$1" "$socket"
  (umask 077 && head -c 1024 /dev/urandom > "$1/munge.key")
  munged --key-file="$1/munge.key" --socket="$socket" --pid-file="$1/munged.pid" \
    --log-file="$1/munged.log" --seed-file="$1/munge.seed"
  export SLURM_CONF="$1/slurm.conf"
  slurmctld
  slurmd -N localhost
  for _ in $(seq 50); do
    sinfo -h -t idle 2>/dev/null | grep -q main && { echo "export SLURM_CONF=$SLURM_CONF"; return; }
    sleep 0.2
  done
  echo "Slurm did not come up; its last words:" >&2
  tail -n 5 "$1"/*.log >&2
  stop "$1"
  exit 1
}

stop() {
  export SLURM_CONF="$1/slurm.conf"
  scancel --user="$(id -un)" 2>/dev/null || true
  for _ in $(seq 50); do
    squeue -h 2>/dev/null | grep -q . || break
    sleep 0.2
  done
  for one in slurmd slurmctld munged; do
    pid=$(cat "$1/$one.pid" 2>/dev/null) || continue
    kill "$pid" || true
    while [ -e "$1/$one.pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  done
  rmdir "$(sed -n 's|^AuthInfo=socket=\(.*\)/socket$|\1|p' "$SLURM_CONF")"
}

"$1" ${2:+"$(realpath -m "$2")"}
