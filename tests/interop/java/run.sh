#!/bin/sh
# The official Azure SDK for Java at the other end: it reads what decant sealed, decant reads what it wrote.
# usage: DECANT=<program> tests/interop/java/run.sh
set -eu
cd "$(dirname "$0")/../../.."
: "${DECANT:?the program to test}"

for tool in java javac mvn; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool is missing: scripts/setup.sh java" >&2; exit 1; }
done
mvn -q -B -f tests/interop/java/pom.xml package
JAVA_PEER=$PWD/build-interop/java/java-peer.jar:$PWD/build-interop/java/dependency/*
export JAVA_PEER
exec tests/interop/run.sh discover -s tests/interop/java -t tests/interop/java
