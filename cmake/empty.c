typedef int empty_room;
