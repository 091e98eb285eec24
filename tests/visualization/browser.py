"""A headless Chromium, driven through its debugging pipe: just what the tests of pages need. No other package is needed.

    with Browser(find_browser()) as browser:
        page = browser.open(path, width=390, height=844)
        page.evaluate("document.title")
"""

import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chrome-headless-shell")
SECONDS = 60  # for any answer; the machine may be busy


def find_browser():
    """Path of a Chromium or Chrome: RAPT_CHROMIUM, or one of the usual names; None if there is none."""
    if "RAPT_CHROMIUM" in os.environ:
        return os.environ["RAPT_CHROMIUM"]
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    def __init__(self, program):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        child_reads, self.to_child = os.pipe()
        self.from_child, child_writes = os.pipe()

        def connect():  # the browser reads commands from 3 and writes answers to 4
            reads, writes = os.dup(child_reads), os.dup(child_writes)
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        self.log = open(os.path.join(self.profile.name, "log"), "w+b")
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-extensions", "--disable-dev-shm-usage", "--disable-background-networking",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(child_reads)
        os.close(child_writes)
        self.buffer = b""
        self.number = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(SECONDS)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to_child)
        os.close(self.from_child)
        self.log.close()
        self.profile.cleanup()

    def fail(self, text):
        self.log.seek(0)
        raise RuntimeError(f"{text}; the browser said:\n{self.log.read().decode(errors='replace')[-3000:]}")

    def receive(self, deadline):
        """The next message, or None when the time is over."""
        while b"\0" not in self.buffer:
            if not select.select([self.from_child], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            data = os.read(self.from_child, 1 << 20)
            if not data:
                self.fail("the browser has gone")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        """The result of a command of the Chrome DevTools protocol. What happens meanwhile goes to `events`."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self.to_child, data):]
        deadline = time.monotonic() + SECONDS
        while message := self.receive(deadline):
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)
        return self.fail(f"no answer to {method} in {SECONDS} s")

    def open(self, path, width, height, mobile=False, dark=False, fragment=""):
        """A page from a file, in a window of that size, after it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"], target)
        for domain in "Page", "Runtime", "Network", "Log":
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=mobile,
                  deviceScaleFactor=2 if mobile else 1)
        page.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        page.dark(dark)
        page.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri() + fragment)
        page.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        return page


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def events(self, *methods):
        return [event for event in self.browser.events
                if event.get("sessionId") == self.session and event["method"] in methods]

    def evaluate(self, expression):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, condition):
        deadline = time.monotonic() + SECONDS
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {SECONDS} s: {condition}")
            time.sleep(0.02)

    def dark(self, dark):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def middle(self, selector):
        """Where the middle of an element is, scrolled into view and painted: input goes to what was painted last."""
        return self.evaluate(f"""(async () => {{
          const element = document.querySelector({json.dumps(selector)});
          element.scrollIntoView({{block: "center", inline: "center", behavior: "instant"}});
          for (let frames = 0; frames < 2; ++frames) await new Promise(requestAnimationFrame);
          const box = element.getBoundingClientRect();
          return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
        }})()""")

    def click(self, selector):
        at = self.middle(selector)
        for kind in "mousePressed", "mouseReleased":
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def hover(self, selector):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **self.middle(selector))

    def tap(self, selector):
        at = self.middle(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[at])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key):
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39,
                "ArrowDown": 40}[key]
        text = {"Enter": "\r"}.get(key, "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path, whole=False):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))
