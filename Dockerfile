# The gateway, TorchServe and its worker in one image, as user 10001. `make image` builds it, from the wheels in dist.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS packages
# Which build of PyTorch, such as torch==2.13.0+cpu, of those that the builder's pip knows.
ARG TORCH=torch==2.13.0
RUN python3 -m venv /app
COPY requirements-serve.lock /
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /app/bin/pip install --no-cache-dir --no-compile "${TORCH}" && \
    /app/bin/pip install --no-cache-dir --no-compile --no-deps --require-hashes -r /requirements-serve.lock
COPY dist/*.whl /dist/
# What nobody runs there; and Python's own bytecode, as the image is read-only when it runs.
RUN /app/bin/pip install --no-cache-dir --no-compile --no-deps --no-index /dist/*.whl && \
    cd /app/lib/python3.*/site-packages && \
    rm -rf pip pip-*.dist-info /app/bin/pip* torch/test torch/bin/*test* torch/bin/protoc* && \
    find sympy networkx numpy -type d -name tests -prune -exec rm -rf {} + && \
    /app/bin/python -m compileall -q -j 0 -x torch/testing/_internal --invalidation-mode unchecked-hash .

FROM ${BASE}
# Without a compiler (COMPILER=) steps are never compiled, and the image is smaller by a sixth of a gigabyte. Of g++ what
# optimises whole programs or looks for faults in them is left out.
ARG COMPILER="g++"
RUN apt-get update && \
    apt-get install --yes --no-install-recommends tini ${COMPILER} && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* /usr/share/doc /usr/share/man /usr/share/locale \
        /usr/bin/*lto-dump* /usr/bin/*gcov* /usr/lib/gcc/*/*/lto1 /usr/lib/gcc/*/*/lib*san* \
        /usr/lib/*/lib?san.so* /usr/lib/*/libhwasan.so* /usr/lib/*/libubsan.so* && \
    echo 'torchbridge:x:10001:10001::/var/lib/torchbridge:/usr/sbin/nologin' >> /etc/passwd && \
    echo 'torchbridge:x:10001:' >> /etc/group && \
    install -d -o 10001 -g 10001 -m 700 /var/lib/torchbridge
COPY --from=packages /app /app
# What servers keep is in a directory of its own below the volume, whose rights are whoever's made it. A container's
# loopback reaches nobody, so it listens at all of its addresses.
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/torchbridge \
    XDG_STATE_HOME=/var/lib/torchbridge \
    TORCHBRIDGE_HOST=0.0.0.0
VOLUME /var/lib/torchbridge
WORKDIR /var/lib/torchbridge
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s CMD ["/app/bin/python", "-m", "adapter.health_check"]
# The first process of a container inherits those whose own parent has ended.
ENTRYPOINT ["tini", "--", "torchbridge"]
CMD ["serve"]
