# The proxy alone: no bench tools, no build tools. Runs as a user without a name, on a read-only root.
ARG PYTHON=3.13
# Not the slim one, which has no C compiler for the scanner.
FROM python:${PYTHON} AS build
WORKDIR /src
RUN python -m venv /opt/kube-restream && /opt/kube-restream/bin/python -m pip install --no-cache-dir "pip>=25.1"
COPY pyproject.toml setup.py constraints.txt README.md LICENSE ./
COPY proxy ./proxy
RUN /opt/kube-restream/bin/python -m pip install --no-cache-dir -c constraints.txt . \
    && cd / && /opt/kube-restream/bin/python -c "import proxy.core._scanner"

FROM python:${PYTHON}-slim
COPY --from=build /opt/kube-restream /opt/kube-restream
COPY config/proxy.yaml /etc/kube-restream/proxy.yaml
USER 65532:65532
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# Listeners are on loopback unless told otherwise: see config/proxy.yaml and deploy/.
EXPOSE 8001 9001
ENTRYPOINT ["/opt/kube-restream/bin/kube-restream"]
CMD ["serve", "--config", "/etc/kube-restream/proxy.yaml"]
