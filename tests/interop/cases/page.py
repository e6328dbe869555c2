"""The status page as people get it: in a browser, in both languages, on a small screen, and read aloud."""

import os
import shutil
import socket
import threading

from harness.browser import Browser
from harness.penstock import ROOT, Node, air_gap_pipe
from harness.process import Failure, wait_for

from . import case

WIDTH, HEIGHT = 1024, 768
CONTRAST_TEXT, CONTRAST_PICTURE = 4.5, 3.0
REFRESH_SECONDS = 10
SAMPLES = ["v3_all.tsfile", "v4_deg7.tsfile", "v3_gv1.tsfile"]
LONG = "archive_of_the_northern_plant_by_way_of_the_ring"
# What each language has to say: of a pipe that runs, one that waits, one in trouble, and the headings.
ENGLISH = ["up to date", "waiting for an answer", "in trouble", "stopped", "Needs a person", "Stored here"]
CHINESE = ["\u5df2\u540c\u6b65", "\u7b49\u5f85\u5e94\u7b54", "\u6709\u6545\u969c", "\u5df2\u505c\u6b62",
           "\u9700\u8981\u4eba\u5de5\u5904\u7406", "\u672c\u673a\u5b58\u50a8"]

# Every text with its colour and what lies behind it, every shape of a picture; where the contrast is too little.
PALE = """(() => {
  const rgb = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    for (; one; one = one.parentElement) {
      const back = rgb(getComputedStyle(one).backgroundColor);
      if (back.length < 4 || back[3] > 0) return back;
    }
    return [255, 255, 255];
  };
  const ratio = (one, two) => {
    const [low, high] = [light(one), light(two)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const style = getComputedStyle(one), back = behind(one);
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (own && !one.closest("svg")) found.push([ratio(rgb(style.color), back), %f, one]);
    if (one.matches(".bars")) found.push([ratio(rgb(style.fill), back), %f, one]);
    if (one.matches(".steps, .axis")) found.push([ratio(rgb(style.stroke), back), %f, one]);
  }
  const pale = found.filter(([ratio, least]) => !(ratio >= least));
  return [found.length, Math.min(...found.map(([ratio]) => ratio)), pale.map(([r, , one]) => r + " " + one.outerHTML.slice(0, 90))];
})()""" % (CONTRAST_TEXT, CONTRAST_PICTURE, CONTRAST_PICTURE)

# What reaches beyond the screen, or beyond the card that it lies in.
WIDE = """[...document.querySelectorAll("body, body *")].filter(one => !one.closest("svg")).filter(one => {
  const box = one.getBoundingClientRect();
  return box.right > innerWidth + 0.5 || box.left < -0.5 || (one.matches("section") && one.scrollWidth > one.clientWidth);
}).map(one => one.outerHTML.slice(0, 90))"""


@case(seconds=240, needs_stock=False, needs_browser=True, beside=True)
def page(world, figures):
    """the status page in a headless browser: languages, width, contrast, what a screen reader gets, its place kept"""
    world.programs()
    place = world.place("page")
    peers = [Refusing(), Deaf()]
    receiver = Node("receiver", world.place("page", "outer"), "").start()
    sender = start_sender(world.place("page", "inner"), receiver, *peers)
    browser = Browser(place, WIDTH, HEIGHT)
    try:
        address = "http://127.0.0.1:%d/" % sender.status_port
        for name, words, tag in [("english", ENGLISH, "en"), ("chinese", CHINESE, "zh-CN")]:
            look(browser, address, tag, words)
            figures("%s: %s" % (name, check(browser)))
            browser.screenshot(os.path.join(place, name + ".png"), whole=True)
        browser.open("http://127.0.0.1:%d/" % receiver.status_port, **{"Accept-Language": "en"})
        figures("outer side: " + check(browser, pipes=0))
        browser.screenshot(os.path.join(place, "outer.png"), whole=True)
        figures(check_links(browser, address))
        figures(check_place_is_kept(browser, address))
        strange = [url for url in browser.requests if not url.startswith("http://127.0.0.1:")]
        if strange:
            raise Failure("the page asks for %s" % strange)
    finally:
        browser.stop()
        for peer in peers:
            peer.close()
    sender.stop()
    receiver.stop()


class Deaf:
    """A port that is connected to and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class Refusing(Deaf):
    """One that answers whatever comes with 0xFF."""

    def __init__(self):
        super().__init__()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
                with connection:
                    while connection.recv(1 << 16):
                        connection.sendall(b"\xff")
            except OSError:
                if self.socket.fileno() < 0:
                    return


def start_sender(folder, receiver, refusing, deaf):
    """Its pipes run, wait, are refused, and are stopped; one says that it is not for this build."""
    inbox = os.path.join(folder, "inbox")
    os.makedirs(inbox)
    pipes = [("to_zone_3", receiver.gate_port), ("to_the_dispatcher", refusing.port), ("to_zone_4", deaf.port),
             (LONG, receiver.gate_port)]
    configuration = '[inbox]\ndir = "%s"\n' % inbox + "".join(air_gap_pipe(*pipe) for pipe in pipes)
    sender = Node("sender", folder, configuration).start()
    sender.command("sql", "stop pipe %s" % LONG)
    for name in SAMPLES:
        aside = os.path.join(folder, name)
        shutil.copy(os.path.join(ROOT, "tests", "samples", name), aside)
        os.rename(aside, os.path.join(inbox, name))

    def shown():
        status = sender.status()
        rows = {row["id"]: row for row in status["pipes"]}
        troubled = {row["subject"] for row in status["trouble"]}
        return (rows["to_zone_3"]["position"] > len(SAMPLES) and rows["to_zone_4"]["remaining_entries"] == len(SAMPLES)
                and {"to_the_dispatcher", LONG} <= troubled)
    wait_for("every pipe is as it is to be", 60, shown, otherwise=lambda: str(sender.status()["pipes"]))
    return sender


def look(browser, address, tag, words):
    """Opens the page as a browser of that language does."""
    browser.open(address, **{"Accept-Language": tag})
    text = browser.evaluate("document.body.innerText")
    missing = [word for word in words if word not in text]
    if missing or browser.evaluate("document.documentElement.lang") != tag:
        raise Failure("the page in %s lacks %s:\n%s" % (tag, missing, text))


def check(browser, pipes=4):
    """Width, contrast in both colour schemes, and the tree that a screen reader reads."""
    wide = browser.evaluate(WIDE)
    if wide or browser.evaluate("document.documentElement.scrollWidth") > WIDTH:
        raise Failure("wider than %d: %s" % (WIDTH, wide))
    least = []
    for scheme in ("dark", "light"):
        browser.colours(scheme)
        count, ratio, pale = browser.evaluate(PALE)
        if pale or count < 20:
            raise Failure("%s: %d texts and shapes, too pale: %s" % (scheme, count, pale))
        least.append("%.1f %s" % (ratio, scheme))
    if browser.evaluate("document.scripts.length + document.querySelectorAll('img, link, object, iframe').length"):
        raise Failure("the page has more than itself")
    return "contrast at least %s; %s" % (", ".join(least), check_tree(browser.tree(), pipes))


def check_tree(tree, pipes):
    roles = [role for role, _, _ in tree]
    for role in ("banner", "navigation", "main", "contentinfo"):
        if roles.count(role) != 1:
            raise Failure("%d landmarks %s in %s" % (roles.count(role), role, tree))
    for role in ("region", "table", "link", "meter", "navigation", "heading", "rowheader", "columnheader"):
        nameless = [node for node in tree if node[0] == role and not node[1].strip()]
        if nameless:
            raise Failure("%d of role %s have no name" % (len(nameless), role))
    regions = roles.count("region")
    if regions < 6 or roles.count("heading") != regions + 1:
        raise Failure("%d regions, %d headings" % (regions, roles.count("heading")))
    pictures = [node for node in tree if node[0] in ("image", "img", "graphics-document")]
    # Two pictures a pipe, each with its numbers in words.
    if len(pictures) != 2 * pipes or not all(name and description not in ("", name) for _, name, description in pictures):
        raise Failure("pictures: %s" % pictures)
    if pipes and not {"rowheader", "columnheader"} <= set(roles):
        raise Failure("a table has no headers: %s" % roles)
    return "%d regions, %d pictures, %d row headers" % (regions, len(pictures), roles.count("rowheader"))


def check_links(browser, address):
    """From English to Chinese, there hold still, and back: a click each."""
    def follow(selector):
        before = browser.loads
        browser.evaluate("document.querySelector('%s').click()" % selector)
        browser.wait_load(before + 1)
        return browser.evaluate("[document.documentElement.lang, !document.querySelector('meta[http-equiv=refresh]')]")
    browser.open(address, **{"Accept-Language": "en"})
    seen = [follow("nav a[hreflang]"), follow("nav a:not([hreflang])"), follow("nav a[hreflang]"),
            follow("nav a:not([hreflang])")]
    if seen != [["zh-CN", False], ["zh-CN", True], ["en", True], ["en", False]]:
        raise Failure("links lead to %s" % seen)
    return "links keep language and stillness"


def check_place_is_kept(browser, address):
    """Who has scrolled down finds himself there when the page has read itself anew."""
    browser.open(address, **{"Accept-Language": "en"})
    browser.evaluate("scrollTo(0, 120)")
    before, time = browser.loads, browser.evaluate("document.querySelector('time').dateTime")
    at = browser.evaluate("scrollY")
    browser.wait_load(before + 1, 3 * REFRESH_SECONDS)
    after, now = browser.evaluate("scrollY"), browser.evaluate("document.querySelector('time').dateTime")
    if at < 100 or after != at or now == time:
        raise Failure("scrolled to %s, found at %s; as of %s and %s" % (at, after, time, now))
    return "read anew, the page is where it was"
