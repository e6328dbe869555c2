"""A headless Chromium, spoken to in its own protocol through a pair of pipes: JSON, a zero byte behind each message."""

import base64
import fcntl
import json
import os
import select
import shutil
import time

from .process import Child, Failure

NAMES = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"]
# It talks to nobody but this machine, and needs no rights of its own.
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--remote-debugging-pipe"]
REPLY_SECONDS = 60


def program():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of one browser, with everything that it asked the network for in `requests`."""

    def __init__(self, folder, width, height):
        # Away from the numbers 3 and 4, which are the browser's.
        (read, theirs_write), (theirs_read, write) = [self.high(os.pipe()) for _ in range(2)]
        script = 'exec "$@" 3<&%d 4>&%d' % (theirs_read, theirs_write)
        command = ["bash", "-c", script, "browser", program(), *OPTIONS, "--user-data-dir=" + os.path.join(folder, "profile")]
        self.child = Child("browser", command, os.path.join(folder, "browser.log"), folder,
                           pass_fds=(theirs_read, theirs_write))
        os.close(theirs_read)
        os.close(theirs_write)
        self.read, self.write, self.rest = read, write, b""
        self.last, self.session, self.requests, self.loads = 0, None, [], 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Accessibility"):
            self.ask(domain + ".enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    @staticmethod
    def high(pair):
        raised = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in pair]
        for one in pair:
            os.close(one)
        return raised

    def ask(self, method, **params):
        """Sends a command and gives its result."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + REPLY_SECONDS
        while True:
            reply = self.receive(deadline, method)
            if reply.get("id") == self.last:
                if "error" in reply:
                    raise Failure("the browser refuses %s: %s" % (method, reply["error"]))
                return reply["result"]

    def receive(self, deadline, what):
        """The next message, whose event is noted."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self.read, 1 << 16) if ready else b""
            if not chunk:
                raise Failure("the browser says nothing to %s:\n%s" % (what, self.child.tail()))
            self.rest += chunk
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        self.loads += message.get("method") == "Page.loadEventFired"
        return message

    def wait_load(self, loads, seconds=REPLY_SECONDS):
        """Until so many pages have been loaded in all."""
        deadline = time.monotonic() + seconds
        while self.loads < loads:
            self.receive(deadline, "load %d" % loads)

    def open(self, address, **headers):
        self.ask("Network.setExtraHTTPHeaders", headers=headers)
        before = self.loads
        self.ask("Page.navigate", url=address)
        self.wait_load(before + 1)

    def evaluate(self, expression):
        """What an expression is worth on the page."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise Failure("on the page: %s" % result["exceptionDetails"])
        return result["result"].get("value")

    def tree(self):
        """What a screen reader is given: (role, name, description) of each node that is not ignored, in reading order."""
        def text(node, key):
            return node.get(key, {}).get("value", "")
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        by_id, children = {node["nodeId"]: node for node in nodes}, {}
        for node in nodes:
            children[node["nodeId"]] = [by_id[child] for child in node.get("childIds", []) if child in by_id]

        def walk(node):
            if not node.get("ignored"):
                yield text(node, "role"), text(node, "name"), text(node, "description")
            for child in children[node["nodeId"]]:
                yield from walk(child)
        return list(walk(nodes[0]))

    def screenshot(self, path, whole=False):
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def colours(self, scheme):
        """`light` or `dark`."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def stop(self):
        self.session = None
        self.ask("Browser.close")
        self.child.stop()
