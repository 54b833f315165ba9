#!/usr/bin/env bash
# A whole deployment on this machine: an aggregator and five groups, each a process of its own, three rounds, and the report.
#   bash examples/loopback/run.sh [folder]
# In real life the aggregator and every group are on machines of their own, and the invitation travels by mail.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=${1:-$(mktemp -d)}
mkdir -p "$place"
pluralllm() { node --import tsx src/cli.ts "$@"; }
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

echo "== the aggregator"
pluralllm aggregator init "$place/aggregator" --port 0
# --port 0 takes a free port; the folder remembers which.
(exec node --import tsx src/cli.ts aggregator serve "$place/aggregator" >"$place/aggregator.log" 2>&1) &
for _ in $(seq 300); do [ -f "$place/aggregator/address.json" ] && break; sleep 0.2; done
pluralllm aggregator start "$place/aggregator" configs/quickstart.yaml training.rounds=3 round.quorum=5

echo "== five groups: three commands from nothing to the first update"
groups=(democrat-white-18-29 democrat-white-65+ republican-white-30-49 republican-white-65+ democrat-black-65+)
watchers=()
for group in "${groups[@]}"; do
  invitation=$(pluralllm aggregator invite "$place/aggregator" quickstart --quiet)
  pluralllm group init "$place/$group" --answers nonvoters --group "$group" >/dev/null
  pluralllm group join "$place/$group" "$invitation" | head -n 1
  (exec node --import tsx src/cli.ts group watch "$place/$group" >"$place/$group.log" 2>&1) &
  watchers+=($!)
done
for watcher in "${watchers[@]}"; do wait "$watcher"; done

echo "== the result"
pluralllm aggregator status "$place/aggregator" quickstart
pluralllm aggregator report "$place/aggregator" quickstart --output "$place/report.html"
sha256sum "$place"/*/model.onnx
