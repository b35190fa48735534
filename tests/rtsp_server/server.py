#!/usr/bin/python3
"""An RTSP camera for tests, on 127.0.0.1. Streams: /h264 /h265 /jpeg, /changing (320x240, after 1.5 s
640x480), /lossy and /lossy265 (small packets, of which one in forty never leaves) and /closed (user "me",
password "secret").

    server.py PORT      0: any; prints the port when it listens
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
SOURCE = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1,format=I420 ! "
H264 = SOURCE + "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96"
H265 = SOURCE + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph265pay name=pay0 pt=96"
JPEG = SOURCE + "jpegenc ! rtpjpegpay name=pay0 pt=26"
CHANGING = (
    "videotestsrc is-live=true ! capsfilter name=size caps=video/x-raw,width=320,height=240,framerate=15/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1"
)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])

auth = GstRtspServer.RTSPAuth()
guest = GstRtspServer.RTSPToken()
guest.set_string("media.factory.role", "guest")
auth.set_default_token(guest)
me = GstRtspServer.RTSPToken()
me.set_string("media.factory.role", "me")
auth.add_basic(GstRtspServer.RTSPAuth.make_basic("me", "secret"), me)
server.set_auth(auth)


def grow(_factory, media):
    size = media.get_element().get_by_name("size")
    larger = Gst.Caps.from_string("video/x-raw,width=640,height=480,framerate=15/1")
    GLib.timeout_add(1500, lambda: size.set_property("caps", larger))


def lose(_factory, media):
    passed = 0

    def probe(_pad, _info):
        nonlocal passed
        passed += 1
        return Gst.PadProbeReturn.DROP if passed % 40 == 0 else Gst.PadProbeReturn.OK

    # Behind what numbers the packets, so that a gap is seen.
    kinds = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST
    media.get_element().get_by_name("pay0").get_static_pad("src").add_probe(kinds, probe)


def mount(path, launch, roles, configure=None):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + launch + " )")
    factory.set_shared(True)
    if configure:
        factory.connect("media-configure", configure)
    for role in ["guest", "me"]:
        # Who may know of it and not have it is asked for a login; who may not know of it hears 404.
        permissions = Gst.Structure.new_empty(role)
        permissions.set_value("media.factory.access", True)
        permissions.set_value("media.factory.construct", role in roles)
        factory.add_role_from_structure(permissions)
    server.get_mount_points().add_factory(path, factory)


mount("/h264", H264, ["guest", "me"])
mount("/h265", H265, ["guest", "me"])
mount("/jpeg", JPEG, ["guest", "me"])
mount("/changing", CHANGING, ["guest", "me"], grow)
SMALL = " mtu=300"
mount("/lossy", H264 + SMALL, ["guest", "me"], lose)
mount("/lossy265", H265 + SMALL, ["guest", "me"], lose)
mount("/closed", H264, ["me"])
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
