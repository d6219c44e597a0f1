#!/bin/sh
# Ask for recommendations, search, and tell what became of what was recommended, with curl alone.
# Usage: sh curl.sh [URL [USER]]
set -eu
url=${1:-http://localhost:3000}
user=${2:-1}
json='content-type: application/json'

answer=$(curl -sS --fail-with-body "$url/recommend" -H "$json" -d "{\"user\": \"$user\", \"k\": 3}")
echo "$answer"

# The first item, the request and its signed impression; a program reads the JSON instead.
first() { printf '%s' "$answer" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
item=$(printf '%s' "$answer" | sed -n 's/[^[]*\[{"item":"\([^"]*\)".*/\1/p')
request=$(first request_id)
impression=$(first impression)

curl -sS --fail-with-body "$url/explain" -H "$json" -d "{\"request_id\": \"$request\", \"item\": \"$item\"}"
echo

curl -sS --fail-with-body "$url/search" -H "$json" -d "{\"query\": \"milk\", \"user\": \"$user\", \"k\": 3}"
echo

if [ -n "$impression" ]; then # null where the predictor collects no events
    curl -sS --fail-with-body "$url/events" -H "$json" -d "{\"events\": [{\"id\": \"click-$request\", \"kind\": \"click\",
        \"user\": \"$user\", \"item\": \"$item\", \"impression\": \"$impression\"}]}"
    echo
fi
