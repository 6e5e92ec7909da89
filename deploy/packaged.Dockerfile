# The image of Ery around a binary that is already built, for `make compose-test`: a quarter of an
# hour of compiling is not what it tries. The context is a folder with `ery` and an empty `data`.
# What is not about building is the same as in Dockerfile, which `make k8s-check` looks after.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUNTIME_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Ery" \
      org.opencontainers.image.description="An AI community manager for Discord" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY ery /usr/local/bin/ery
# A volume that is mounted here for the first time takes this owner.
COPY --chown=65532:65532 data /var/lib/ery
ENV ERY_DATA_DIR=/var/lib/ery \
    ERY_ADMIN__LISTEN=0.0.0.0:8720 \
    ERY_RPC__LISTEN=0.0.0.0:8730 \
    ERY_TELEMETRY__LOG_FORMAT=json
EXPOSE 8720 8730
USER 65532:65532
# It catches SIGTERM itself, as process 1 too, and drains.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ery"]
