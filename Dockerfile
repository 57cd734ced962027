# PF-3 as an image. Nothing is compiled: Node.js runs the sources. See docs/docker.md.

FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /app
COPY .npmrc package.json package-lock.json ./
# Of the packages to run, none needs a script of its own: `node` would fetch the Node.js that is here already.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
# What our own script after an installation makes: the template of a new built-in database.
COPY platform/postgres/make-template.ts platform/postgres/pglite-template.ts platform/postgres/
RUN node platform/postgres/make-template.ts && ls node_modules/.cache/pf3/pglite-*.tar

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production PF3_DATA_DIR=/var/lib/pf3
WORKDIR /app
# The two places it writes to; the rest may be read-only, with a /tmp in memory.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/pf3
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY api ./api
COPY bin ./bin
COPY capabilities ./capabilities
COPY platform ./platform
COPY pricing ./pricing
COPY processors ./processors
COPY producers ./producers
COPY projections ./projections
COPY providers ./providers
COPY schemas ./schemas
COPY deploy/docker/health.ts ./deploy/docker/health.ts
# The user `node` of the base image, by number, so that it can be seen not to be root.
USER 1000:1000
VOLUME ["/var/lib/pf3"]
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["node", "deploy/docker/health.ts"]
ENTRYPOINT ["node", "--max-semi-space-size=64", "bin/pf3.ts"]
CMD ["start"]
