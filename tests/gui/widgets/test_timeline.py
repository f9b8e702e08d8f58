from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QHelpEvent
from PySide6.QtWidgets import QApplication, QMenu, QToolTip

from diffusion_studio.widgets.chain import ruler
from diffusion_studio.widgets.chain.timeline import Timeline
from diffusion_studio.widgets.chain.tracks import TimeAxis, Track, nearest, root_lane, walked
from diffusion_studio.widgets.look.theme import theme

MAIN = tuple(range(1000, -1, -20))
FINE = (*range(1000, 399, -20), *range(395, -1, -5))
TRACKS = [
    Track(MAIN, ready=50, label="main"),
    Track(MAIN, 0, 50, "η = 1", 20),
    Track(FINE, 1, 60, "finer", 30),
    Track(MAIN, 0, 10, "twin", 0),
]


@pytest.fixture
def timeline(qtbot):
    made = Timeline()
    qtbot.addWidget(made)
    made.set_tracks(TRACKS, 0)
    made.resize(850, made.sizeHint().height())
    made.show()
    return made


def said(timeline):
    """Everything the timeline asks for, in order."""
    heard = []
    for name in ("track", "seek", "rename", "delete"):
        signal = getattr(timeline, f"{name}_requested")
        signal.connect(lambda value, name=name: heard.append((name, value)))
    return heard


def spot(timeline, lane, t):
    return QPoint(round(timeline.plan.x_at(t)), round(timeline.plan.lane_top(lane)) + 4)


def test_that_equal_times_stand_at_one_place_whatever_their_number(timeline):
    for axis, values in (("t", ()), ("step", ()), ("log_snr", [k**1.5 for k in range(51)])):
        timeline.set_axis(axis, values)
        for lane, track in enumerate(TRACKS):
            timeline.set_tracks(TRACKS, lane)
            places = [timeline.plan.x_of(k) for k in range(len(track.times))]
            assert places == pytest.approx([timeline.plan.x_at(t) for t in track.times])
            assert places == sorted(places)
            assert [timeline.plan.index_at(x) for x in places] == list(range(len(places)))


def test_that_times_between_the_main_chains_are_interpolated_on_the_step_axis(timeline):
    timeline.set_axis("step")
    assert timeline.plan.x_at(390) == pytest.approx((timeline.plan.x_at(400) + timeline.plan.x_at(380)) / 2)


def test_that_ticks_are_laid_out_once_for_many_frames(timeline, monkeypatch):
    laid_out, tick = [], ruler._tick
    monkeypatch.setattr(ruler, "_tick", lambda plan, k, long: laid_out.append(k) or tick(plan, k, long))
    timeline.grab()
    laid_out.clear()
    for position in range(5):
        timeline.set_position(position)
        timeline.grab()
    assert laid_out == []
    timeline.set_axis("log_snr", [k**1.5 for k in range(len(MAIN))])
    timeline.grab()
    assert laid_out == list(range(len(MAIN)))
    timeline.resize(400, timeline.height())
    timeline.grab()
    assert len(laid_out) > len(MAIN)


def test_that_a_click_on_another_lane_asks_for_it_and_seeks_there(qtbot, timeline):
    heard = said(timeline)
    timeline.track_requested.connect(lambda lane: timeline.set_tracks(TRACKS, lane))
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=spot(timeline, 2, 200))
    assert heard == [("track", 2), ("seek", FINE.index(200))]
    assert timeline.active == 2 and timeline.times[timeline.position] == 200


def test_that_the_drag_goes_on_in_the_new_tracks_states(qtbot, timeline):
    heard = said(timeline)
    qtbot.mousePress(timeline, Qt.MouseButton.LeftButton, pos=spot(timeline, 2, 200))
    qtbot.mouseMove(timeline, spot(timeline, 2, 100))
    qtbot.mouseRelease(timeline, Qt.MouseButton.LeftButton, pos=spot(timeline, 2, 100))
    qtbot.mouseMove(timeline, spot(timeline, 2, 300))
    assert heard[-1] == ("seek", FINE.index(100))


def test_that_the_ticks_above_the_lanes_belong_to_the_active_track(qtbot, timeline):
    timeline.set_tracks(TRACKS, 1)
    heard = said(timeline)
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(round(timeline.plan.x_at(400)), 26))
    assert heard == [("seek", 30)]


def test_that_the_keys_rename_delete_and_change_the_lane(qtbot, timeline):
    timeline.set_tracks(TRACKS, 1)
    timeline.set_position(35)
    heard = said(timeline)
    for key in (Qt.Key.Key_F2, Qt.Key.Key_Delete, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
        qtbot.keyClick(timeline, key)
    state = FINE.index(MAIN[35])
    assert heard == [("rename", 1), ("delete", 1), ("track", 2), ("seek", state), ("track", 1), ("seek", 35)]


def test_that_the_main_chain_is_not_deleted(qtbot, timeline):
    heard = said(timeline)
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_PageUp):
        qtbot.keyClick(timeline, key)
    assert heard == []


def test_that_one_chain_without_branches_has_no_name_to_change(qtbot, timeline):
    timeline.set_times(MAIN)
    heard = said(timeline)
    qtbot.keyClick(timeline, Qt.Key.Key_F2)
    place = spot(timeline, 0, 500)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, place, timeline.mapToGlobal(place))
    QApplication.sendEvent(timeline, event)
    assert heard == [] and not timeline.findChildren(QMenu)


@pytest.mark.parametrize("lane", [0, 2])
def test_that_the_right_button_offers_what_can_be_done_with_a_lane(timeline, lane):
    heard = said(timeline)
    place = spot(timeline, lane, 300)
    reason = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(timeline, QContextMenuEvent(reason, place, timeline.mapToGlobal(place)))
    menu = timeline.findChild(QMenu)
    rename, delete = menu.actions()
    rename.trigger()
    delete.trigger()
    assert heard == [("rename", lane)] + [("delete", lane)] * (lane > 0)
    menu.close()


def test_that_hovering_tells_about_a_lane(timeline):
    place = spot(timeline, 1, 300)
    QApplication.sendEvent(timeline, QHelpEvent(QEvent.Type.ToolTip, place, timeline.mapToGlobal(place)))
    assert QToolTip.text() == "η = 1 · leaves at t = 600 · 51 of 51 states computed"
    QToolTip.hideText()


def test_that_lanes_grow_to_six_and_are_then_squeezed(timeline):
    heights = []
    for count in range(1, 13):
        timeline.set_tracks([TRACKS[0], *[Track(MAIN, 0, 50, "b", k) for k in range(1, count)]], 0)
        heights.append(timeline.height())
        timeline.grab()
        for lane in range(count):
            assert timeline.plan.lane_at(timeline.plan.lane_top(lane) + 1) == lane
            assert timeline.plan.lane_top(lane) + 4 <= timeline.height()
    assert heights[:6] == sorted(set(heights[:6])) and set(heights[6:]) == {heights[5]}


def test_that_the_active_path_is_drawn_fuller(timeline):
    def color(lane, t):
        return timeline.grab().toImage().pixelColor(spot(timeline, lane, t)).name()

    timeline.set_tracks(TRACKS, 1)
    assert color(0, 810) == "#009e73" and color(1, 300) == "#e69f00"
    assert color(0, 300) != "#009e73"


def test_that_the_compared_track_gets_its_letter_and_room(timeline):
    before = timeline.plan.x_at(0)
    plain = timeline.grab().toImage()
    timeline.set_compared(2)
    assert timeline.plan.x_at(0) < before and timeline.grab().toImage() != plain
    timeline.set_tracks(TRACKS[:2], 0)
    assert timeline.plan.x_at(0) == before


def test_that_it_follows_the_theme(timeline):
    theme().set_mode("dark")
    dark = timeline.grab().toImage()
    theme().set_mode("light")
    assert timeline.grab().toImage() != dark
    theme().set_mode("system")


def test_that_impossible_tracks_are_refused(timeline):
    with pytest.raises(ValueError, match="no track 4"):
        timeline.set_tracks(TRACKS, 4)
    with pytest.raises(ValueError, match="no parent"):
        timeline.set_tracks([TRACKS[0], Track(MAIN, 1)], 0)
    with pytest.raises(ValueError, match="decrease"):
        Track((0, 10))
    assert timeline.tracks == tuple(TRACKS)


def test_that_a_new_main_chain_takes_the_place_of_all_tracks(timeline):
    timeline.set_tracks(TRACKS, 2)
    timeline.set_position(70)
    timeline.set_axis("log_snr", [k**1.5 for k in range(51)])
    timeline.set_times(range(10, -1, -1))
    timeline.set_ready(3)
    assert (timeline.active, timeline.position, timeline.last, timeline.tracks[0].ready) == (0, 0, 10, 3)
    assert timeline.plan.x_at(5) == pytest.approx((timeline.plan.x_at(10) + timeline.plan.x_at(0)) / 2)


def test_that_a_track_walks_along_its_ancestors():
    assert walked(TRACKS, 2) == {2: 0, 1: 400, 0: 600}
    assert walked(TRACKS, 3) == {3: 0, 0: 1000}


def test_that_a_curve_begins_on_the_lane_that_holds_its_time():
    early = Track(MAIN, 1, 50, "", 5)  # leaves before its parent has left the main chain
    assert [root_lane([*TRACKS, early], lane) for lane in (1, 2, 4)] == [0, 1, 0]


def test_that_an_axis_without_times_places_everything_at_the_noise():
    assert TimeAxis().place(3) == 0 and TimeAxis().places([2, 1]) == [0, 0]
    assert nearest([0.0], 0.7) == 0


def test_that_a_label_ends_above_the_next_bar(timeline):
    labelled = [replace(track, label="ηηη") if lane == 1 else track for lane, track in enumerate(TRACKS)]
    timeline.set_tracks(labelled, 0)
    plan, image = timeline.plan, timeline.grab().toImage()
    left = round(plan.x_at(TRACKS[1].leaves)) + 12
    below = image.copy(left, round(plan.lane_top(2)) - 1, 24, 1)
    assert len({below.pixel(x, 0) for x in range(24)}) == 1, "no letter in the last line before the bar"
