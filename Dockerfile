# One static binary on an empty root. docs/CONTAINERS.md tells what is in the image and how to run it.
#
#   docker build -t keelson .                       the image
#   docker build -t keelson-dev --target dev .      the toolchain alone, for sources that are mounted

# The development loop: sources at /src, what is built at /target, data at /data. Any other user may be given with --user.
FROM rust:1.95.0-bookworm AS dev
ENV RUSTUP_TOOLCHAIN=1.95.0 \
    CARGO_HOME=/target/cargo-home \
    CARGO_TARGET_DIR=/target \
    KEELSON_DATA=/data \
    KEELSON_HOST=0.0.0.0 \
    PRODUCTION=false
RUN mkdir --mode 0777 /target /data
WORKDIR /src
USER 1000:1000
VOLUME ["/target", "/data"]
EXPOSE 8000 8001 8002 8003 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15m --retries=3 CMD ["/target/debug/keelson", "healthcheck"]
CMD ["cargo", "run", "--locked", "--", "dev"]

# Builds what the lock file names, once; then only what is ours is built anew.
FROM rust:1.95.0-bookworm AS chef
# The file rust-toolchain.toml also asks for tools that no build needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN cargo install cargo-chef --version 0.1.78 --locked
WORKDIR /src

FROM chef AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# With a target that is named the flags hold for the binary alone: macros and build scripts must not be static. A static
# binary that may lie anywhere has 1.6 MB of relocations, packed 20 kB. Rust has a linker of its own on x86_64 alone, which
# keeps functions that are the same once.
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs,--icf=safe" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Ctarget-feature=+crt-static"
COPY --from=recipe /src/recipe.json .
RUN cargo chef cook --locked --profile dist --target "$(rustc --print host-tuple)" --package keelson --bin keelson \
    --recipe-path recipe.json
COPY . .
RUN cargo build --locked --profile dist --target "$(rustc --print host-tuple)" --package keelson --bin keelson && \
    mkdir -p /root-of-image/etc/ssl/certs /root-of-image/data && \
    cp target/*/dist/keelson /root-of-image/keelson && \
    cp /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ && \
    echo 'keelson:x:65532:65532::/data:/none' >/root-of-image/etc/passwd && \
    echo 'keelson:x:65532:' >/root-of-image/etc/group

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Keelson" \
    org.opencontainers.image.description="A microservice chassis and the system built on it, in one static binary" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
COPY --from=build /root-of-image/etc /etc
COPY --from=build --chown=65532:65532 /root-of-image/data /data
COPY --from=build /root-of-image/keelson /keelson
# Whoever publishes a port shows it to a network, so the rules of production hold unless told otherwise.
ENV KEELSON_DATA=/data \
    KEELSON_HOST=0.0.0.0 \
    PRODUCTION=true
# Where SQLite puts what does not fit into memory, as there is no /tmp.
WORKDIR /data
USER 65532:65532
VOLUME ["/data"]
EXPOSE 8000 8001 8002 8003 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/keelson", "healthcheck"]
ENTRYPOINT ["/keelson"]
CMD ["up"]
