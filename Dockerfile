# Sabatier with its Prefect server and workers: the exact versions that are known to work together.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 sabatier
WORKDIR /opt/sabatier
COPY pyproject.toml constraints.txt README.md LICENSE CHANGELOG.md ./
COPY acquisition acquisition
COPY instruments instruments
COPY orchestrator orchestrator
COPY simulators simulators
COPY surrogates surrogates
RUN pip install --no-cache-dir -c constraints.txt ".[postgres]"

# what a volume is mounted over belongs to the user who works in it
RUN install -d -o sabatier -g sabatier /var/lib/prefect /var/lib/sabatier/raw
USER sabatier
WORKDIR /var/lib/sabatier
ENV PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    PYTHONUNBUFFERED=1
CMD ["sabatier", "--help"]
