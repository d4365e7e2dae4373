"""A page in headless Chromium, driven by its DevTools protocol over a pipe: no driver, no port, no download.

https://chromedevtools.github.io/devtools-protocol: messages are JSON, each ended by a null byte; with
--remote-debugging-pipe the browser reads them from descriptor 3 and writes them to 4.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
NO_CHROMIUM = f"no Chromium on this machine's PATH: none of {', '.join(NAMES)}"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", "--disable-quic", "--no-first-run")
FLAGS += ("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")
SECONDS = 60
# Two descriptors become 3 and 4, whatever numbers they have, and the process becomes the browser.
LAUNCH = """
import os, sys
kept = [os.dup(int(text)) for text in sys.argv[1:3]]
while min(kept) < 5:
    kept = [os.dup(one) for one in kept]
os.dup2(kept[0], 3), os.dup2(kept[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
# What must not be wider than the window, by tag; what scrolls inside itself may be, and so may what is folded away.
WIDER = """
(() => {
  const scrolls = e => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  const name = e => e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.trim().slice(0, 40);
  const shown = [...document.querySelectorAll('body, body *')].filter(e => e.checkVisibility());
  const out = shown.filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1) && !scrolls(e);
  });
  return [document.documentElement.scrollWidth > innerWidth ? 'page scrolls sideways' : '', ...out.map(name)]
    .filter(Boolean);
})()
"""
# Texts that their own box cuts off, and texts of a drawing that stand outside it or over one another.
CLIPPED = """
(() => {
  const out = [];
  for (const e of document.querySelectorAll('body *')) {
    const style = getComputedStyle(e);
    if (e.checkVisibility() && /hidden|clip/.test(style.overflow) && e.scrollWidth > e.clientWidth + 1
        && e.clientWidth > 2) out.push('cut off: ' + e.tagName + ' ' + e.textContent.trim().slice(0, 40));
  }
  for (const drawing of document.querySelectorAll('svg')) {
    if (!drawing.checkVisibility()) continue;
    const frame = drawing.getBoundingClientRect();
    const texts = [...drawing.querySelectorAll('text')].filter(e => e.textContent.trim() && e.checkVisibility());
    const boxes = texts.map(e => e.getBoundingClientRect());
    texts.forEach((e, i) => {
      const a = boxes[i];
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
        out.push('outside its drawing: ' + e.textContent.trim());
      for (let j = 0; j < i; j++) {
        const b = boxes[j];
        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (over > 1.5 && down > 0.35 * Math.min(a.height, b.height))
          out.push('over one another: ' + texts[j].textContent.trim() + ' | ' + e.textContent.trim());
      }
    });
  }
  return out;
})()
"""
# The smallest text of a drawing, in pixels as seen.
SMALLEST = """
(() => Math.min(99, ...[...document.querySelectorAll('svg text')]
  .filter(e => e.textContent.trim() && e.checkVisibility())
  .map(e => parseFloat(getComputedStyle(e).fontSize) * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))))()
"""
UNFOLD = "document.querySelectorAll('details').forEach(e => { e.open = true; })"


class Browser:
    """One page. `told`: what went wrong in it since it was opened: console errors, exceptions, failed requests."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes, self._left, self._sent = reads, writes, b"", 0
        self._session: str | None = None
        self.told: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, page: str, folder: Path, *, width: int, dark: bool = False, height: int = 900) -> None:
        """Load the page from a file, in a window of this width, in a theme; without any network."""
        file = folder / "page.html"
        file.write_text(page)
        self.told = []
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        self.look(width=width, dark=dark, height=height)
        self.call("Page.navigate", url=file.as_uri())
        self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def look(self, *, width: int, dark: bool = False, height: int = 900) -> None:
        """Another window, another theme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])

    def run(self, script: str) -> Any:
        """What an expression gives; of a promise what it is settled with."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self, file: Path) -> bytes:
        """The whole page as PNG, written to the file too."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {**size, "height": min(size["height"], 8000), "scale": 1}
        shot = base64.b64decode(
            self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        )
        file.write_bytes(shot)
        return shot

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A command's answer."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._writes, left) :]
        answer = self._until(lambda one: one.get("id") == self._sent)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _until(self, wanted: Any) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while True:
            while b"\0" in self._left:
                text, _, self._left = self._left.partition(b"\0")
                message = json.loads(text)
                self._note(message)
                if wanted(message):
                    return message
            ready, _, _ = select.select([self._reads], [], [], max(end - time.monotonic(), 0))
            assert ready, f"the browser said nothing for {SECONDS} s"
            more = os.read(self._reads, 1 << 20)
            assert more, "the browser has ended"
            self._left += more

    def _note(self, message: Mapping[str, Any]) -> None:
        method, said = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.told.append(str(said["exceptionDetails"].get("exception", said["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.told.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.told.append(said["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not said["request"]["url"].startswith(("file:", "data:")):
            self.told.append(f"asked for {said['request']['url']}")


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A Chromium of its own profile, for the block."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    home = {**os.environ, "HOME": str(folder)}
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    launch = [sys.executable, "-S", "-c", LAUNCH, str(to_read), str(from_write), *command]
    process = subprocess.Popen(launch, pass_fds=(to_read, from_write), env=home, stderr=subprocess.DEVNULL)
    for descriptor in (to_read, from_write):
        os.close(descriptor)
    try:
        yield Browser(from_read, to_write)
    finally:
        os.close(to_write)  # the browser ends with its pipe
        process.wait(SECONDS)
        os.close(from_read)
