# decant's image: one static executable and the root certificates, nothing else.
# deploy/image/build.sh builds it, with or without a registry; or: docker build -t decant .
ARG BASE=docker.io/library/debian:trixie-slim
FROM ${BASE} AS build
ARG OPENSSL=debian
COPY deploy/image/dependencies.sh /build/
RUN /build/dependencies.sh
ARG SOURCE_DATE_EPOCH=0
COPY CMakeLists.txt LICENSE /src/
COPY src /src/src
COPY deploy/image/program.sh deploy/image/sbom.py /build/
RUN /build/program.sh

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
ENTRYPOINT ["/usr/bin/decant"]
