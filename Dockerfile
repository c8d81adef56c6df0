# The binary alone on a base without a shell. Build for both architectures:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag kiro-proxy .
FROM --platform=$BUILDPLATFORM oven/bun:1.4.5-slim AS build
WORKDIR /build
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY build.ts tsconfig.json ./
COPY src src
ARG TARGETARCH
RUN case "$TARGETARCH" in arm64) target=linux-arm64 ;; *) target=linux-x64 ;; esac \
    && bun build.ts --outdir out "$target" \
    && mv "out/kiro-proxy-$target" kiro-proxy \
    && mkdir data

FROM gcr.io/distroless/base-debian12:nonroot
COPY --from=build /build/kiro-proxy /usr/local/bin/kiro-proxy
# config.json, credentials.json and all else that is kept; the only folder that is written to.
COPY --from=build --chown=nonroot:nonroot --chmod=0700 /build/data /home/nonroot/.kiro-proxy
ENV HOME=/home/nonroot KIRO_PROXY_HOST=0.0.0.0
VOLUME /home/nonroot/.kiro-proxy
EXPOSE 13000
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["/usr/local/bin/kiro-proxy", "health"]
ENTRYPOINT ["/usr/local/bin/kiro-proxy"]
